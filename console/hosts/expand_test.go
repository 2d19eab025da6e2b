package hosts

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func expandDB(t testing.TB) *DB {
	t.Helper()
	db, err := Open(filepath.Join(t.TempDir(), "hosts.json"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Put(t.Context(),
		Host{Name: "desk-7", Address: "10.0.0.7", Port: 16993, Scheme: "https", Tags: []string{"Lab"}},
		Host{Name: "node1", Address: "10.0.1.1", Tags: []string{"lab", "nodes"}},
		Host{Name: "node2", Address: "10.0.1.2", Tags: []string{"nodes"}},
		Host{Name: "nat-a", Address: "gate.lan", Port: 20001},
		Host{Name: "nat-b", Address: "gate.lan", Port: 20002},
	); err != nil {
		t.Fatal(err)
	}
	return db
}

// short writes a Host as name=scheme://address:port with what is set.
func short(list []Host) []string {
	var out []string
	for _, h := range list {
		s := h.Address
		if h.Name != h.Address {
			s = h.Name + "=" + s
		}
		if h.Scheme != "" {
			s += "/" + h.Scheme
		}
		if h.Port != 0 {
			s += fmt.Sprintf("#%d", h.Port)
		}
		out = append(out, s)
	}
	return out
}

func TestExpand(t *testing.T) {
	db := expandDB(t)
	for _, tt := range []struct{ args, want string }{
		{"", ""},
		{"desk-7", "desk-7=10.0.0.7/https#16993"},
		{"DESK-7", "desk-7=10.0.0.7/https#16993"},
		{"10.0.0.7", "desk-7=10.0.0.7/https#16993"},
		{"desk-7:4433", "desk-7=10.0.0.7/https#4433"},
		{"http://desk-7", "desk-7=10.0.0.7/http"},
		{"http://desk-7:80/", "desk-7=10.0.0.7/http#80"},
		{"HTTPS://desk-7", "desk-7=10.0.0.7/https#16993"},
		{"10.0.1.1:16993", "node1=10.0.1.1#16993"},
		{"10.0.1.1:5000", "10.0.1.1#5000"}, // another machine may be there
		{"gate.lan", "gate.lan"},
		{"gate.lan:20002", "nat-b=gate.lan#20002"},
		{"new.lan 10.9.9.9 new:1 ::1 fe80::1%eth0", "new.lan 10.9.9.9 new#1 ::1 fe80::1%eth0"},
		{"[::1] [::1]:16993 https://[fe80::1%25eth0]:1", "::1 ::1#16993 fe80::1%eth0/https#1"},
		{"https://x http://y:9", "x/https y/http#9"},
		{"node[1-3]", "node1=10.0.1.1 node2=10.0.1.2 node3"},
		{"n[08-11,2,007]", "n08 n09 n10 n11 n2 n007"},
		{"r[1-2]n[1,3].lan:16992", "r1n1.lan#16992 r1n3.lan#16992 r2n1.lan#16992 r2n3.lan#16992"},
		{"10.0.1.[1-3]", "node1=10.0.1.1 node2=10.0.1.2 10.0.1.3"},
		{"a,b[1,2],c, ,,", "a b1 b2 c"},
		{"node2 @nodes node1", "node2=10.0.1.2 node1=10.0.1.1"},
		{"@LAB", "desk-7=10.0.0.7/https#16993 node1=10.0.1.1"},
		{"@all", "desk-7=10.0.0.7/https#16993 node1=10.0.1.1 node2=10.0.1.2 nat-a=gate.lan#20001 nat-b=gate.lan#20002"},
		{"a A a:1 a", "a a#1"},
		{"desk-7:1 10.0.0.7 desk-7", "desk-7=10.0.0.7/https#1"}, // one machine, told once
	} {
		t.Run(tt.args, func(t *testing.T) {
			want := strings.Fields(tt.want)
			args := strings.Split(tt.args, " ")
			if strings.Contains(tt.args, ", ,") {
				args = []string{tt.args}
			}
			got, err := db.Expand(args...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, short(got)); len(want)+len(got) > 0 && diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestExpandRefuses(t *testing.T) {
	db := expandDB(t)
	for word, want := range map[string]error{
		"@nothing": ErrNotFound, "@": ErrNotFound,
		"node[": ErrPattern, "node]": ErrPattern, "node[[1]]": ErrPattern, "node[]": ErrPattern, "node[a]": ErrPattern,
		"node[5-1]": ErrPattern, "node[1-]": ErrPattern, "node[-1]": ErrPattern, "node[1-99999999]": ErrPattern,
		"n[1-999]m[1-999]": ErrPattern, "n[9999999999]": ErrPattern, "n[1,,2]": ErrPattern,
		"a:": ErrPattern, "a:0": ErrPattern, "a:65536": ErrPattern, "a:b": ErrPattern, "a:1:2": ErrPattern,
		"[::1": ErrPattern, "[::1]:": ErrPattern, "[::1]16993": ErrPattern, "[1.2.3.4]:1": ErrPattern,
		"ftp://a": ErrPattern, "http://": ErrPattern, "http://a/wsman": ErrPattern, "http://a?b": ErrPattern,
		"-o": ErrPattern, "a b": ErrPattern, "a/b": ErrPattern, "a\x00": ErrPattern, "http://[::1": ErrPattern,
	} {
		if got, err := db.Expand("ok", word); !errors.Is(err, want) {
			t.Errorf("%q: got %v, %v; want %v", word, short(got), err, want)
		}
	}
	if _, err := db.Expand("https://ops:S3cret@desk-7"); err == nil || strings.Contains(err.Error(), "S3cret") {
		t.Errorf("a password in a URL: got %v", err)
	}
}

func TestExpandWithoutDB(t *testing.T) {
	got, err := (*DB)(nil).Expand("a", "10.0.0.[1-2]")
	if diff := cmp.Diff([]string{"a", "10.0.0.1", "10.0.0.2"}, short(got)); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"a", "node[1-3,7],b:1", "[::1]:16993", "https://x:1/", "@all", "r[01-02]n[1]", "fe80::1%eth0"} {
		f.Add(s)
	}
	db := expandDB(f)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := db.Expand(s)
		if err != nil {
			return
		}
		if len(got) > maxExpand {
			t.Fatalf("%d hosts", len(got))
		}
		for _, h := range got {
			h.Name = "x" // a plain address is its own name and may be IPv6
			if err := h.Validate(); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
		}
	})
}
