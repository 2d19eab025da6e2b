package eventlog_test

import (
	"encoding/base64"
	"fmt"
	"time"

	"github.com/outband/outband/wire/eventlog"
)

// A record as GetRecords gives it.
func Example() {
	octets, _ := base64.StdEncoding.DecodeString("Y8iYZf8GbwVoEP8mYaoKAAAAAAAA")
	r, err := eventlog.Parse(octets)
	fmt.Println(r.When().Format(time.RFC3339), r.Severity, r.Entity, err)
	fmt.Println(r.Text())
	// Output:
	// 2024-01-06T03:26:27Z critical management engine <nil>
	// authentication failed 10 times
}

// What a BIOS has the engine log when it hands over to the operating system.
func ExampleNewRecord() {
	at := time.Date(2024, 1, 6, 3, 26, 27, 0, time.UTC)
	r := eventlog.NewRecord(at, eventlog.Firmware, 2, eventlog.Monitor, eventlog.BIOS, 0x40, 19)
	fmt.Printf("%x\n%s\n", r.Append(nil), r.Text())
	// Output:
	// 63c89865ff0f6f026801ff22004013000000000000
	// firmware: starting the operating system
}
