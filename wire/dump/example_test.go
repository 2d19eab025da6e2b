package dump_test

import (
	"fmt"
	"os"

	"github.com/outband/outband/wire/dump"
	"github.com/outband/outband/wire/wsman"
)

// A machine with one class, as a file.
func Example() {
	uri := wsman.ClassURI("AMT_GeneralSettings")
	f := dump.File{Host: "desk-7", Version: "16.1.27.2176", Absent: []string{"AMT_AuditLog"}}
	f.Add(wsman.Group(uri, "AMT_GeneralSettings", wsman.El(uri, "HostName", "desk-7"), wsman.El(uri, "NetworkInterfaceEnabled", "true")))
	if err := f.Write(os.Stdout); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {
	//   "format": "outband-dump/1",
	//   "host": "desk-7",
	//   "version": "16.1.27.2176",
	//   "absent": [
	//     "AMT_AuditLog"
	//   ],
	//   "instances": {
	//     "AMT_GeneralSettings": [
	//       {
	//         "HostName": "desk-7",
	//         "NetworkInterfaceEnabled": "true"
	//       }
	//     ]
	//   }
	// }
}
