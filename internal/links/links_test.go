// Package links keeps what the guides point at in its place.
package links

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	code    = regexp.MustCompile("`([^`\\s]+)`")
	fenced  = regexp.MustCompile("(?ms)^```.*?^```$")
)

// TestGuides: every relative link of a Markdown file leads to a file and a heading that are there, and so does every
// path in code type that begins with a folder of ours.
func TestGuides(t *testing.T) {
	root, err := os.OpenRoot("../..")
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	guides := guidesOf(t, root.FS())
	if len(guides) < 5 {
		t.Fatalf("only %v found", guides)
	}
	for _, guide := range guides {
		text := read(t, root.FS(), guide)
		prose := fenced.ReplaceAllString(text, "")
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := guide
			if file != "" {
				target = path.Join(path.Dir(guide), file)
			}
			if _, err := fs.Stat(root.FS(), target); err != nil {
				t.Errorf("%s: link to %s: %v", guide, m[1], err)
			} else if anchor != "" && !slices.Contains(anchorsOf(read(t, root.FS(), target)), anchor) {
				t.Errorf("%s: link to %s: no such heading", guide, m[1])
			}
		}
		for _, m := range code.FindAllStringSubmatch(prose, -1) {
			if first, _, ok := strings.Cut(m[1], "/"); !ok || !isFolder(root.FS(), first) {
				continue
			}
			if found, err := fs.Glob(root.FS(), strings.TrimSuffix(m[1], "/")); err != nil || len(found) == 0 {
				t.Errorf("%s: %s is not there", guide, m[1])
			}
		}
	}
}

// guidesOf returns the Markdown files of a tree, without those that programs of others brought along.
func guidesOf(t *testing.T, tree fs.FS) (guides []string) {
	t.Helper()
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && name != ".") {
			return fs.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			guides = append(guides, name)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a test of another package has cleaned up
		t.Fatal(err)
	}
	return guides
}

func isFolder(tree fs.FS, name string) bool {
	info, err := fs.Stat(tree, name)
	return err == nil && info.IsDir()
}

func read(t *testing.T, tree fs.FS, name string) string {
	t.Helper()
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// anchorsOf returns what a page calls its headings: lower case, dashes for blanks, nothing but letters and digits.
func anchorsOf(text string) (anchors []string) {
	for _, m := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			}
			return -1
		}, m[1]))
	}
	return anchors
}

func TestAnchors(t *testing.T) {
	if got, want := anchorsOf("# A *B*, c-d\n```\n# no\n```\n"), []string{"a-b-c-d"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
