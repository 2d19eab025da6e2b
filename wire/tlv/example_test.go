package tlv_test

import (
	"fmt"

	"github.com/outband/outband/wire/tlv"
)

// The parameters of a boot over HTTPS.
func Example() {
	array, err := tlv.Append(nil,
		tlv.Text(tlv.NetworkPath, "https://boot.example/image.iso"),
		tlv.Octet(tlv.SyncRootCA, 1),
		tlv.Word(tlv.RequestTimeout, 0))
	fmt.Println(len(array), "octets", err)

	params, err := tlv.Parse(array)
	url, _ := tlv.Find(params, tlv.NetworkPath)
	fmt.Printf("%d records, %s, %v\n", len(params), url.Value, err)
	// Output:
	// 57 octets <nil>
	// 3 records, https://boot.example/image.iso, <nil>
}
