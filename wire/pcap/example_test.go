package pcap_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/outband/outband/wire/pcap"
)

// A capture of one frame, written and read.
func Example() {
	var file bytes.Buffer
	w, err := pcap.NewWriter(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	w.Write([]byte("a frame from the cable"), time.Date(2024, 1, 6, 3, 26, 27, 0, time.UTC))

	r, err := pcap.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	frame, at, err := r.Next()
	fmt.Printf("%v: %q, %v\n", at.UTC().Format(time.TimeOnly), frame, err)
	// Output: 03:26:27: "a frame from the cable", <nil>
}
