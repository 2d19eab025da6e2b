package firmware

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/outband/outband/wire/wsman"
)

// The web server keeps small files for others, below /amt-storage/ (11.6 and newer). Clients PUT, GET and DELETE them:
//
//	/amt-storage/                    a list, in JSON
//	/amt-storage/VENDOR/APP/FILE     a file
//	/amt-storage/index.htm           a page that is shown instead of the machine's own; logon.htm as well
//
// The body of a PUT is metadata in XML, which says with which header lines the file is to be served, and then the file.
// One request carries 8 KiB at most; further pieces follow with "?append=". Vendor and application are folders that stay
// when they are empty. Sources: Ylianst/MeshCommander index.html (list in both forms, names of 11 characters, pieces of
// 7000 octets, deleting); a loader that names 11.8.50 (a request with a Content-Type is refused, too long a piece fails
// with 500).
const (
	storagePath     = "/amt-storage/"
	maxStorageName  = 11
	maxStoragePiece = 8192
	maxStorageLink  = 64 // not known

	// maxStorage is how many octets all files may have. The real number is not known; a list that MeshCommander's source
	// quotes has files of 232267 octets, one of them of 121265.
	maxStorage      = 256 << 10
	maxStorageFiles = 64 // not known
)

// storage is the files.
type storage struct {
	mu   sync.Mutex // guards what follows
	list []storedFile
}

// A storedFile is a file, or a folder: a vendor's or an application's.
type storedFile struct {
	Path   string   // "index.htm", "Vendor/App/file"; a folder "Vendor", "Vendor/App"
	Folder bool     `json:",omitempty"`
	Header []string `json:",omitempty"` // lines that it is served with
	Link   string   `json:",omitempty"` // title of a link on the machine's own pages
	Data   []byte   `json:",omitempty"`
}

func (s *storage) dump() (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) == 0 {
		return nil, nil
	}
	return json.Marshal(s.list)
}

func (s *storage) load(text json.RawMessage) error {
	var list []storedFile
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	total := 0
	for i := range list {
		f := &list[i]
		if !goodStoragePath(f.Path, f.Folder) || !goodLink(f.Link) || !goodHeader(f.Header) {
			return fmt.Errorf("stored file %.60q", f.Path)
		}
		total += len(f.Data)
	}
	if total > maxStorage || len(list) > maxStorageFiles {
		return fmt.Errorf("%d stored files of %d octets", len(list), total)
	}
	slices.SortFunc(list, func(a, b storedFile) int { return cmp.Compare(a.Path, b.Path) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = list
	return nil
}

// clear forgets all files.
func (s *storage) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = nil
}

// find returns the place of a path. mu is held.
func (s *storage) find(path string) (int, bool) {
	return slices.BinarySearchFunc(s.list, path, func(f storedFile, path string) int { return cmp.Compare(f.Path, path) })
}

// get returns a file.
func (s *storage) get(path string) (storedFile, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.find(path)
	if !ok || s.list[at].Folder {
		return storedFile{}, false
	}
	return s.list[at], true
}

// all returns files and folders, by path.
func (s *storage) all() []storedFile {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.list)
}

// put stores a file, or more of one, and returns the HTTP status.
func (s *storage) put(f storedFile, more bool) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := 0
	for i := range s.list {
		if s.list[i].Path != f.Path || more {
			used += len(s.list[i].Data)
		}
	}
	at, ok := s.find(f.Path)
	switch {
	case more && !ok:
		return http.StatusNotFound
	case used+len(f.Data) > maxStorage, !ok && len(s.list)+3 > maxStorageFiles:
		return http.StatusInternalServerError // which code is not known
	case more:
		s.list[at].Data = slices.Concat(s.list[at].Data, f.Data)
		return http.StatusOK
	case ok:
		s.list[at] = f
		return http.StatusOK
	}
	s.list = slices.Insert(s.list, at, f)
	for folder, _, _ := cutLast(f.Path); folder != ""; folder, _, _ = cutLast(folder) {
		if at, ok := s.find(folder); !ok {
			s.list = slices.Insert(s.list, at, storedFile{Path: folder, Folder: true})
		}
	}
	return http.StatusOK
}

// remove deletes a file, or a folder that is empty.
func (s *storage) remove(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.find(path)
	switch {
	case !ok:
		return http.StatusNotFound
	case slices.ContainsFunc(s.list, func(f storedFile) bool { return strings.HasPrefix(f.Path, path+"/") }):
		return http.StatusBadRequest // which code is not known
	}
	s.list = slices.Delete(s.list, at, at+1)
	return http.StatusOK
}

// cutLast cuts a path before its last name.
func cutLast(path string) (folder, name string, ok bool) {
	at := strings.LastIndexByte(path, '/')
	if at < 0 {
		return "", path, false
	}
	return path[:at], path[at+1:], true
}

// goodStoragePath reports whether a file, or a folder, may stand there. The vendor's name belongs to the vendor.
func goodStoragePath(path string, folder bool) bool {
	names := strings.Split(path, "/")
	for _, n := range names {
		if n == "" || n == "." || n == ".." || len(n) > maxStorageName || strings.IndexFunc(n, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\&%?#`, r)
		}) >= 0 {
			return false
		}
	}
	switch {
	case len(names) > 1 && strings.EqualFold(names[0], "Intel"):
		return false
	case folder:
		return len(names) < 3
	case len(names) == 1:
		return path == "index.htm" || path == "logon.htm"
	}
	return len(names) == 3
}

func goodLink(link string) bool {
	return len(link) <= maxStorageLink && strings.IndexFunc(link, func(r rune) bool { return r < ' ' || r > '~' }) < 0
}

// goodHeader keeps lines from becoming more than lines of their own.
func goodHeader(lines []string) bool {
	for _, l := range lines {
		name, _, ok := strings.Cut(l, ":")
		if !ok || strings.TrimSpace(name) == "" || len(l) > 256 || strings.IndexFunc(l, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			return false
		}
	}
	return len(lines) <= 8
}

const (
	metadataBegin = "<metadata>"
	metadataEnd   = "</metadata>"
)

// parseStored reads the body of a PUT: metadata, then the file. Pieces after the first need none.
func parseStored(body []byte, more bool) (f storedFile, ok bool) {
	if !bytes.HasPrefix(body, []byte(metadataBegin)) {
		f.Data = body
		return f, more
	}
	end := bytes.Index(body, []byte(metadataEnd))
	if end < 0 {
		return f, false
	}
	end += len(metadataEnd)
	meta, err := wsman.Parse(body[:end])
	if err != nil {
		return f, false
	}
	if headers := meta.Child("headers"); headers != nil {
		for i := range headers.Children {
			if h := &headers.Children[i]; h.Local == "h" {
				f.Header = append(f.Header, h.TrimText())
			}
		}
	}
	f.Link = meta.ChildText("link")
	f.Data = bytes.Clone(body[end:])
	return f, goodLink(f.Link) && goodHeader(f.Header)
}

// registerStorage gives the web server its files. Which realms may write them is not known.
func registerStorage(t *table) {
	t.route(storagePath, route{on: (*Machine).hasStorage, serve: serveStorage})
}

// hasStorage reports whether the release has the files, and its web server is on.
func (m *Machine) hasStorage() bool { return m.webOn() && !m.profile.Before(11, 6) }

// routeOf returns the route of a path: its own, or that of all paths in its folder.
func (t *table) routeOf(path string) (route, bool) {
	r, ok := t.routes[path]
	if !ok && strings.HasPrefix(path, storagePath) {
		r, ok = t.routes[storagePath]
	}
	return r, ok
}

func serveStorage(_ context.Context, m *Machine, r *request) reply {
	path := strings.TrimPrefix(r.path, storagePath)
	refuse := func(code int) reply {
		a := page(code, http.StatusText(code), "The request cannot be served.")
		a.close = code >= http.StatusInternalServerError
		return a
	}
	switch r.method {
	case http.MethodGet, http.MethodHead:
		if path == "" {
			return reply{status: http.StatusOK, contentType: "application/json", header: []string{"Cache-Control: no-cache"}, body: m.storageList(r.user)}
		}
		if f, ok := m.storage.get(path); ok {
			return f.reply()
		}
		return refuse(http.StatusNotFound)
	case http.MethodPut, http.MethodDelete:
		if !r.realms.Allows(Realms(RealmStorage, RealmStorageAdmin)) {
			return refuse(http.StatusForbidden)
		}
	default:
		return refuse(http.StatusMethodNotAllowed)
	}
	code := http.StatusBadRequest
	query, err := url.ParseQuery(r.query)
	_, more := query["append"]
	switch {
	case err != nil:
	case r.method == http.MethodDelete:
		code = m.storage.remove(path)
	case len(r.body) > maxStoragePiece:
		code = http.StatusInternalServerError
	case r.header.Get("Content-Type") != "" || !goodStoragePath(path, false):
	default:
		if f, ok := parseStored(r.body, more); ok {
			f.Path = path
			code = m.storage.put(f, more)
		}
	}
	if code != http.StatusOK {
		return refuse(code)
	}
	return reply{status: code}
}

// reply serves the file.
func (f *storedFile) reply() reply {
	a := reply{status: http.StatusOK, contentType: "application/octet-stream", body: f.Data}
	for _, line := range f.Header {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		if strings.EqualFold(strings.TrimSpace(name), "Content-Type") {
			a.contentType = value
		} else {
			a.header = append(a.header, strings.TrimSpace(name)+": "+value)
		}
	}
	return a
}

// replaceable is a page of the machine's own that a stored file goes before.
func replaceable(name string, own func(context.Context, *Machine, *request) reply) func(context.Context, *Machine, *request) reply {
	return func(ctx context.Context, m *Machine, r *request) reply {
		if f, ok := m.storage.get(name); ok && m.hasStorage() {
			return f.reply()
		}
		return own(ctx, m, r)
	}
}

// storageLinks are the links to stored files on the machine's own pages.
func (m *Machine) storageLinks() string {
	if !m.hasStorage() {
		return ""
	}
	var b strings.Builder
	for _, f := range m.storage.all() {
		if f.Link != "" {
			fmt.Fprintf(&b, `<p class=nav><a href="%s">%s</a></p>`, storagePath+f.Path, html.EscapeString(f.Link))
		}
	}
	return b.String()
}

// A listed is a file in the list.
type listed struct {
	Vendor string `json:"vendor,omitempty"`
	App    string `json:"app,omitempty"`
	Name   string `json:"name,omitempty"`
	Size   *int   `json:"size,omitempty"`
	Link   string `json:"link,omitempty"`
}

// storageList writes the list: as a tree up to 11, flat from 12 on; which release changed it is not known. The tree does
// not clear the place of a link that is not there: an octet 1 is left in it, which makes it bad JSON.
func (m *Machine) storageList(user string) []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, `{"information": {"version": 1.1,"user": %s},"content": `, quoted(user))
	files := m.storage.all()
	if !m.profile.Before(12, 0) {
		flat := []listed{}
		for _, f := range files {
			names := strings.Split(f.Path, "/")
			entry := listed{Link: f.Link}
			switch {
			case f.Folder && slices.ContainsFunc(files, func(g storedFile) bool { return strings.HasPrefix(g.Path, f.Path+"/") }):
				continue // shown by what is in it
			case f.Folder:
				entry.Vendor = names[0]
				entry.App = strings.Join(names[1:], "")
			case len(names) == 3:
				entry.Vendor, entry.App, entry.Name = names[0], names[1], names[2]
			default:
				entry.Name = f.Path
			}
			if !f.Folder {
				entry.Size = new(len(f.Data))
			}
			flat = append(flat, entry)
		}
		text, _ := json.Marshal(flat) // strings and numbers only
		out.Write(text)
		out.WriteString("}")
		return out.Bytes()
	}
	writeTree(&out, files, "")
	out.WriteString("}")
	return out.Bytes()
}

// writeTree writes what is in a folder.
func writeTree(out *bytes.Buffer, files []storedFile, folder string) {
	out.WriteString("{")
	first := true
	for _, f := range files {
		at, name, _ := cutLast(f.Path)
		if at != folder {
			continue
		}
		if !first {
			out.WriteString(",")
		}
		first = false
		out.WriteString(quoted(name) + ": ")
		if f.Folder {
			writeTree(out, files, f.Path)
			continue
		}
		link := quoted(f.Link)
		if f.Link == "" {
			link = "\"\x01\""
		}
		fmt.Fprintf(out, `{"size": %d,"link": %s}`, len(f.Data), link)
	}
	out.WriteString("}")
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // cannot fail for a string
	return string(b)
}
