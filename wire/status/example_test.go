package status_test

import (
	"errors"
	"fmt"

	"github.com/outband/outband/wire/status"
)

// A refusal keeps the number that the firmware sent, and errors.As finds it.
func Example() {
	err := fmt.Errorf("set host name: %w", status.Check("AMT_GeneralSettings.Put", status.NotPermitted))
	fmt.Println(err)
	var refusal *status.Error
	if errors.As(err, &refusal) {
		fmt.Printf("%#x\n", uint32(refusal.Code))
	}
	fmt.Println(status.Check("AMT_GeneralSettings.Put", status.Success))
	// Output:
	// set host name: AMT_GeneralSettings.Put: refused with not permitted
	// 0x10
	// <nil>
}
