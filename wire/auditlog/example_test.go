package auditlog_test

import (
	"encoding/base64"
	"fmt"

	"github.com/outband/outband/wire/auditlog"
)

// A record as ReadRecords gives it.
func Example() {
	octets, _ := base64.StdEncoding.DecodeString("ABMAAAI/9M1uAgAQAAwAAAAoBZkADAAAACQFlA==")
	r, _, err := auditlog.Parse(octets)
	fmt.Println(r.ID.App(), r.Initiator, err)
	fmt.Println(r.Text())
	// Output:
	// firmware update local <nil>
	// firmware updated: old 12.0.40.1433, new 12.0.36.1428
}

// What a machine logs when its administrator lets nobody in without consent.
func ExampleEncode() {
	data, err := auditlog.Encode(auditlog.ConsentPolicyChanged, auditlog.Num(0), auditlog.Num(255))
	r := auditlog.Record{ID: auditlog.ConsentPolicyChanged, Initiator: auditlog.Initiator{User: "admin"}, Address: "192.168.1.2", Data: data}
	fmt.Println(r.Text(), err)
	// Output: consent policy changed: from none, to all <nil>
}
