package amt_test

import (
	"fmt"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/wsman"
)

// An answer becomes a struct. What the machine did not send is nil, which is not the same as "" or false.
func Example() {
	answer, err := wsman.Parse([]byte(`<g:AMT_GeneralSettings xmlns:g="` + wsman.ClassURI("AMT_GeneralSettings") + `">
		<g:HostName>desk-7</g:HostName><g:PowerSource>1</g:PowerSource></g:AMT_GeneralSettings>`))
	if err != nil {
		fmt.Println(err)
		return
	}
	var s amt.GeneralSettings
	if err := s.Decode(&answer); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(class.Value(s.HostName), class.Value(s.PowerSource), s.DomainName == nil)
	// Output: desk-7 DC true
}
