package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/outband/outband/lab"
)

// TestCurlStorage has curl store a file as MeshCommander does (metadata in front, pieces of 7000 octets), which our
// command reads, and read one that our command stores.
func TestCurlStorage(t *testing.T) {
	curl := tool(t, "curl", "curl")
	for _, generation := range []int{11, 12} {
		t.Run(fmt.Sprint(generation), func(t *testing.T) {
			w := machine(t, lab.Machine{Profile: generation})
			dir := t.TempDir()
			web := func(args ...string) result {
				t.Helper()
				r := run(t, nil, "", curl, append([]string{"-s", "-S", "--fail", "--digest", "--user", "admin:" + password}, args...)...)
				if r.code != 0 {
					t.Fatalf("curl %q: %s", args, r.err)
				}
				return r
			}
			url := "http://" + w.Address + ":16992/amt-storage/"
			content := strings.Repeat("0123456789abcde\n", 1000)
			all := "<metadata><headers><h>Content-Type: text/plain</h></headers><link>Lines</link></metadata>" + content
			for at, query := 0, ""; at < len(all); at, query = at+7000, "?append=" {
				piece := filepath.Join(dir, "piece")
				if err := os.WriteFile(piece, []byte(all[at:min(at+7000, len(all))]), 0o600); err != nil {
					t.Fatal(err)
				}
				web("-T", piece, url+"Theirs/App/lines"+query)
			}
			r := ourCommand(t, w, "storage", "list", w.Address, "-o", "json")
			if want := `"path":"Theirs/App/lines","size":16000,"link":"Lines"}`; !strings.Contains(r.out, want) {
				t.Errorf("our command lists %s", r.out)
			}
			if r := ourCommand(t, w, "storage", "get", "Theirs/App/lines", w.Address, "-f", "-"); r.out != content {
				t.Errorf("our command reads %d octets", len(r.out))
			}

			file := filepath.Join(dir, "ours.txt")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			ourCommand(t, w, "storage", "put", file, "Ours/App/lines", w.Address)
			if r := web("-D", filepath.Join(dir, "head"), url+"Ours/App/lines"); r.out != content {
				t.Errorf("curl reads %d octets", len(r.out))
			}
			if head, err := os.ReadFile(filepath.Join(dir, "head")); err != nil || !strings.Contains(string(head), "Content-Type: text/plain\r\n") {
				t.Errorf("head %s, %v", head, err)
			}
			web("-X", "DELETE", url+"Ours/App/lines")
			if r := ourCommand(t, w, "storage", "list", w.Address); strings.Contains(r.out, "Ours/App/lines") {
				t.Errorf("deleted by curl, and our command lists %s", r.out)
			}

			page := filepath.Join(dir, "page.html")
			if err := os.WriteFile(page, []byte("<p>Ours"), 0o600); err != nil {
				t.Fatal(err)
			}
			ourCommand(t, w, "web", "set", page, w.Address)
			if r := web("--compressed", "http://"+w.Address+":16992/index.htm"); r.out != "<p>Ours" {
				t.Errorf("a browser gets %.80q", r.out)
			}
			ourCommand(t, w, "web", "remove", w.Address)
			if r := web("http://" + w.Address + ":16992/index.htm"); !strings.Contains(r.out, "System Status") {
				t.Errorf("a browser gets %.80q", r.out)
			}
		})
	}
}
