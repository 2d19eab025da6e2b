package hosts_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/outband/outband/console/hosts"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "hosts")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	db, err := hosts.Open(filepath.Join(dir, "hosts.json"), hosts.Options{})
	if err != nil {
		log.Fatal(err)
	}
	desk := hosts.Host{Name: "desk-7", Address: "10.0.0.7", Tags: []string{"lab"}}
	desk.SetPassword("example")
	if err := db.Put(ctx, desk, hosts.Host{Name: "desk-8", Address: "10.0.0.8", Tags: []string{"lab"}}); err != nil {
		log.Fatal(err)
	}

	list, err := db.Expand("@lab", "node[1-2].example")
	if err != nil {
		log.Fatal(err)
	}
	for _, h := range list {
		fmt.Println(h, h.HasPassword())
	}
	password, err := db.Password(ctx, list[0])
	fmt.Println(password, err)
	// Output:
	// desk-7 (admin@10.0.0.7) true
	// desk-8 (admin@10.0.0.8) false
	// admin@node1.example false
	// admin@node2.example false
	// example <nil>
}
