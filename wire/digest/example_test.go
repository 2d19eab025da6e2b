package digest_test

import (
	"errors"
	"fmt"

	"github.com/outband/outband/wire/digest"
)

// A console and a machine: the first request is challenged, the next ones go through at once.
func Example() {
	const realm = "Digest:727734D63A1FC0423736E48DA554E462"
	machine := digest.NewServer(realm, digest.ServerOptions{})
	accounts := func(user string) ([16]byte, bool) {
		return digest.HA1("admin", realm, "P@ssw0rd"), user == "admin"
	}

	console := &digest.Client{Username: "admin", Password: "P@ssw0rd"}
	for range 3 {
		header, _ := console.Authorize("POST", "/wsman", nil)
		user, err := machine.Admit(header, "POST", "/wsman", nil, accounts)
		if err == nil {
			fmt.Println("200 for", user)
			continue
		}
		fmt.Println("401:", err)
		challenge := machine.Challenge(errors.Is(err, digest.ErrStale))
		if _, err := console.Challenged([]string{challenge.String()}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// 401: digest: no digest credentials
	// 200 for admin
	// 200 for admin
}
