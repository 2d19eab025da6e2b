package console

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/outband/outband/wire/digest"
)

// A list that MeshCommander's source quotes, and the tree of older firmware, which leaves octets of old where no link is.
const (
	flatList = `{"information": {"version": 1.1,"realms": 7765759,"user": "admin"},"content": [{"name": "index.htm","size": 38864},{"vendor": "User","app": "SDK","name": "Sample.html","size": 26760,"link": "SDK Sample"},{"vendor": "User","app": "Old"},{"vendor": "Gone"}]}`
	treeList = "{\"information\": {\"version\": 1.1},\"content\": {\"index.htm\": {\"size\": 38864, \"link\": \"\x01\"},\"User\": {\"SDK\": {\"Sample.html\": {\"size\": 26760,\"link\": \"SDK Sample\x00\x00\xff\"}},\"Old\": {}},\"Gone\": {}}}"
)

func TestParseStorageList(t *testing.T) {
	want := []StoredFile{{Name: "index.htm", Size: 38864}, {Vendor: "Gone", Folder: true}, {Vendor: "User", App: "Old", Folder: true},
		{Vendor: "User", App: "SDK", Name: "Sample.html", Size: 26760, Link: "SDK Sample"}}
	for name, text := range map[string]string{"flat": flatList, "tree": treeList} {
		got, err := parseStorageList([]byte(text))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got  %+v, %v\nwant %+v", name, got, err, want)
		}
	}
	for _, bad := range []string{"", "[]", `{"content": 7}`, `{"content": {"a": 7}}`, `{"content": [7]}`, `{"content": {"index.htm": []}}`} {
		if got, err := parseStorageList([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v", bad, got)
		}
	}
	if _, err := parseStorageList(bytes.Repeat([]byte(" "), maxStorageList+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("a long one: %v", err)
	}
}

func FuzzParseStorageList(f *testing.F) {
	f.Add([]byte(flatList))
	f.Add([]byte(treeList))
	f.Add([]byte(`{"content": {"": {"": {"": {}}}}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := parseStorageList(text)
		if err != nil {
			return
		}
		for _, l := range list {
			if l.Folder != (l.Name == "") || strings.ContainsFunc(l.Link, func(r rune) bool { return r < ' ' }) {
				t.Errorf("%+v", l)
			}
		}
	})
}

func TestParseStoredPath(t *testing.T) {
	for path, ok := range map[string]bool{"index.htm": true, "logon.htm": true, "A/B/c": true, "other.htm": false, "A/B": false, "A/B/C/d": false, "": false,
		"A//c": false, "A/B/..": false, "Intel/B/c": false, "A/B/twelve-chars": false, "A/B/a b": false, "A/B/a?b": false} {
		f, err := ParseStoredPath(path)
		if (err == nil) != ok || ok && f.Path() != path || err != nil && !errors.Is(err, ErrUsage) {
			t.Errorf("%q: got %+v, %v", path, f, err)
		}
	}
}

// A shelf is a machine's web server with stored files, which misbehaves on demand.
type shelf struct {
	files map[string][]byte
	fail  func(r *http.Request) int // 0: as it should be
	log   []string
}

func (s *shelf) client(t *testing.T) *Client {
	guard := digest.NewServer(testRealm, digest.ServerOptions{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := guard.Admit(r.Header.Get("Authorization"), r.Method, r.URL.RequestURI(), body, func(string) ([16]byte, bool) {
			return digest.HA1("admin", testRealm, "secret"), true
		}); err != nil {
			w.Header().Set("WWW-Authenticate", guard.Challenge(false).String())
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.log = append(s.log, fmt.Sprintf("%s %s %d", r.Method, r.URL.RequestURI(), len(body)))
		if s.fail != nil {
			if code := s.fail(r); code != 0 {
				w.WriteHeader(code)
				return
			}
		}
		path := strings.TrimPrefix(r.URL.Path, storageRoot)
		switch r.Method {
		case http.MethodPut:
			if r.URL.RawQuery != "" {
				s.files[path] = append(s.files[path], body...)
			} else {
				s.files[path] = body
			}
		case http.MethodDelete:
			delete(s.files, path)
		default:
			s.get(w, path)
		}
	}))
	t.Cleanup(server.Close)
	site := &site{plain: server, secure: server, closed: map[int]error{PortHTTPS: errSilent}}
	c, err := New(Config{Address: "shelf", Dial: site.dial, Password: "secret", Scheme: HTTP})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s *shelf) get(w http.ResponseWriter, path string) {
	const end = "</metadata>"
	if path != "" {
		data, ok := s.files[path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, file, _ := bytes.Cut(data, []byte(end))
		w.Write(file)
		return
	}
	content := []map[string]any{}
	for path, data := range s.files {
		names := strings.Split(path, "/")
		meta, file, _ := bytes.Cut(data, []byte(end))
		entry := map[string]any{"name": names[len(names)-1], "size": len(file)}
		if len(names) == 3 {
			entry["vendor"], entry["app"] = names[0], names[1]
		}
		if _, link, ok := strings.Cut(string(meta), "<link>"); ok {
			entry["link"] = strings.TrimSuffix(link, "</link>")
		}
		content = append(content, entry)
	}
	json.NewEncoder(w).Encode(map[string]any{"content": content})
}

func TestWriteStored(t *testing.T) {
	s := &shelf{files: map[string][]byte{}}
	c := s.client(t)
	data := bytes.Repeat([]byte("0123456789"), 2000)
	f, err := c.WriteStored(t.Context(), "A/B/c", StoredContent{Data: data, ContentType: "text/plain"}, "C")
	if err != nil || f.Size != len(data) || f.Link != "C" {
		t.Fatalf("got %+v, %v", f, err)
	}
	var pieces []string
	for _, l := range s.log {
		if strings.HasPrefix(l, "PUT") {
			pieces = append(pieces, l)
		}
	}
	if want := []string{"PUT /amt-storage/A/B/c 7000", "PUT /amt-storage/A/B/c?append= 7000", "PUT /amt-storage/A/B/c?append= 6085"}; !slices.Equal(pieces, want) {
		t.Errorf("pieces %q\nwant   %q", pieces, want)
	}
	if _, err := c.LinkStored(t.Context(), "A/B/c", ""); err != nil || bytes.Contains(s.files["A/B/c"], []byte("<link>")) {
		t.Errorf("the link is still there: %v", err)
	}
	if err := c.RemoveStored(t.Context(), "A/B/c"); err != nil || len(s.files) != 0 {
		t.Errorf("%v, %d files", err, len(s.files))
	}
}

// When a later piece does not fit, what is there by then is deleted.
func TestWriteStoredCleansUp(t *testing.T) {
	s := &shelf{files: map[string][]byte{}, fail: func(r *http.Request) int {
		if r.URL.RawQuery != "" {
			return http.StatusInternalServerError
		}
		return 0
	}}
	_, err := s.client(t).WriteStored(t.Context(), "A/B/c", StoredContent{Data: make([]byte, 10000)}, "")
	if kind, _ := Explain(err); kind != KindRefused || len(s.files) != 0 {
		t.Errorf("got %v, and %d files are left", err, len(s.files))
	}
}

// A machine that says yes and keeps something else is found out.
func TestWriteStoredReadsBack(t *testing.T) {
	s := &shelf{files: map[string][]byte{"A/B/c": []byte("<metadata></metadata>old")}, fail: func(r *http.Request) int {
		if r.Method == http.MethodPut {
			return http.StatusOK
		}
		return 0
	}}
	if _, err := s.client(t).WriteStored(t.Context(), "A/B/c", StoredContent{Data: []byte("new")}, ""); !errors.Is(err, ErrDiffers) {
		t.Errorf("got %v", err)
	}
	s.fail = func(r *http.Request) int {
		if r.Method == http.MethodDelete {
			return http.StatusOK
		}
		return 0
	}
	if err := s.client(t).RemoveStored(t.Context(), "A/B/c"); !errors.Is(err, ErrDiffers) {
		t.Errorf("remove: got %v", err)
	}
}

func TestStorageAbsent(t *testing.T) {
	s := &shelf{files: map[string][]byte{}, fail: func(*http.Request) int { return http.StatusNotFound }}
	c := s.client(t)
	for name, do := range map[string]func(context.Context) error{
		"list":   func(ctx context.Context) error { _, err := c.Storage(ctx); return err },
		"read":   func(ctx context.Context) error { _, err := c.ReadStored(ctx, "A/B/c"); return err },
		"write":  func(ctx context.Context) error { _, err := c.SetWebPage(ctx, "index.htm", []byte("x")); return err },
		"remove": func(ctx context.Context) error { return c.RemoveWebPage(ctx, "index.htm") },
	} {
		if err := do(t.Context()); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
