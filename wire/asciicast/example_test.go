package asciicast_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/outband/outband/wire/asciicast"
)

// What a terminal showed, recorded and shown again without the pauses.
func Example() {
	var file bytes.Buffer
	w, err := asciicast.NewWriter(&file, asciicast.Header{Width: 80, Height: 25, Title: "desk-7"})
	if err != nil {
		fmt.Println(err)
		return
	}
	io.WriteString(w, "login: ")
	io.WriteString(w, "root\n")

	r, err := asciicast.NewReader(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Header.Title)
	if _, err := asciicast.Play(context.Background(), r, os.Stdout, 0); err != nil {
		fmt.Println(err)
	}
	// Output:
	// desk-7
	// login: root
}
