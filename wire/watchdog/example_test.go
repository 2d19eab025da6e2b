package watchdog_test

import (
	"fmt"
	"time"

	"github.com/outband/outband/wire/watchdog"
)

// Both ends as pure steps: a PC promises to beat every two minutes, and hangs.
func Example() {
	var pc watchdog.Host
	firmware := watchdog.Timer{Required: true}
	if err := pc.SetTimeout(2 * time.Minute); err != nil {
		fmt.Println(err)
		return
	}
	if err := pc.Open(); err != nil {
		fmt.Println(err)
		return
	}
	beat, err := pc.Ping()
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Date(2024, 1, 6, 3, 26, 27, 0, time.UTC)
	if _, err := firmware.Receive(beat, now); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("after a minute:", firmware.Expire(now.Add(time.Minute)))
	fmt.Println("after two:", firmware.Expire(now.Add(2*time.Minute)))
	// Output:
	// after a minute: false
	// after two: true
}
