package console

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/outband/outband/wire/wsman"
)

// A StoredFile is a small file that AMT's web server keeps (11.6 and newer, while it has web pages): of an application
// of a vendor, or a page that is shown instead of the machine's own.
type StoredFile struct {
	Vendor string // "" for a page
	App    string
	Name   string // "index.htm"
	Size   int    // octets, as stored
	Link   string // title of the link to it on the machine's own pages; "" for none

	Folder bool // nothing but an empty folder; Name is "", and maybe App
}

// Path returns "Vendor/App/Name", or "index.htm".
func (f *StoredFile) Path() string {
	var names []string
	for _, n := range []string{f.Vendor, f.App, f.Name} {
		if n != "" {
			names = append(names, n)
		}
	}
	return strings.Join(names, "/")
}

// StoredContent is what a file holds and how it is served.
type StoredContent struct {
	Data            []byte
	ContentType     string // "" : application/octet-stream
	ContentEncoding string // "gzip", "br", or ""
}

// Limits of stored files. Sources: MeshCommander's dialog and its pieces of 7000 octets; a list that its source quotes
// has 232267 octets.
const (
	maxStorageName  = 11
	maxStorageLink  = 64
	storagePiece    = 7000
	maxStoredFile   = 256 << 10
	maxStorageList  = 64 << 10
	maxStorageFiles = 1024
	storageRoot     = "/amt-storage/"
)

// StoredPages are the pages that a stored file can stand in for.
func StoredPages() []string { return []string{"index.htm", "logon.htm"} }

// ParseStoredPath reads "Vendor/App/name", or the name of a page. Errors wrap [ErrUsage].
func ParseStoredPath(path string) (StoredFile, error) {
	names := strings.Split(path, "/")
	for _, n := range names {
		if n == "" || n == "." || n == ".." || len(n) > maxStorageName || strings.IndexFunc(n, func(r rune) bool {
			return r <= ' ' || r > '~' || strings.ContainsRune(`"<>\&%?#`, r)
		}) >= 0 {
			return StoredFile{}, fmt.Errorf("%w: %q does not have 1 to %d plain characters", ErrUsage, n, maxStorageName)
		}
	}
	switch {
	case len(names) == 1 && slices.Contains(StoredPages(), path):
		return StoredFile{Name: path}, nil
	case len(names) != 3:
		return StoredFile{}, fmt.Errorf("%w: %q is neither Vendor/App/name nor one of %s", ErrUsage, path, strings.Join(StoredPages(), ", "))
	case strings.EqualFold(names[0], "Intel"):
		return StoredFile{}, fmt.Errorf("%w: AMT keeps the vendor name Intel to itself", ErrUsage)
	}
	return StoredFile{Vendor: names[0], App: names[1], Name: names[2]}, nil
}

// page sends a request to AMT's web server, signed like all.
func (c *Client) page(ctx context.Context, method, path string, body []byte) (*wsman.HTTPReply, error) {
	if c.over != nil {
		return nil, errOver
	}
	via, err := c.transport(ctx)
	if err != nil {
		return nil, err
	}
	return via.HTTP(ctx, method, path, body, "") // with a Content-Type firmware refuses a PUT
}

// errNoFile is a file that is not there.
var errNoFile = fmt.Errorf("%w: no such file in the storage", ErrUsage)

// storage sends a request about a stored file.
func (c *Client) storage(ctx context.Context, method, path string, body []byte) (*wsman.HTTPReply, error) {
	got, err := c.page(ctx, method, storageRoot+path, body)
	if err != nil {
		return nil, err
	}
	switch {
	case got.Status == http.StatusOK:
		return got, nil
	case got.Status == http.StatusNotFound && path == "":
		return nil, fmt.Errorf("%w: no storage for web applications (11.6 and newer have it, as long as they have web pages; the blocks that older firmware keeps for programs of the PC, AMT_ThirdPartyDataStorageService, are no files)", ErrUnsupported)
	case got.Status == http.StatusNotFound:
		return nil, errNoFile
	case got.Status == http.StatusForbidden:
		return nil, fmt.Errorf("%w: the account lacks the realm storage", wsman.ErrAccessDenied)
	case got.Status == http.StatusInternalServerError && method == http.MethodPut:
		return nil, fmt.Errorf("%w: the storage takes no more (HTTP status %d)", ErrNotOffered, got.Status)
	case got.Status == http.StatusBadRequest:
		return nil, fmt.Errorf("%w: the storage refuses it (HTTP status %d)", ErrNotOffered, got.Status)
	}
	return nil, &wsman.HTTPError{Status: got.Status}
}

// Storage lists the stored files, pages first.
func (c *Client) Storage(ctx context.Context) ([]StoredFile, error) {
	list, err := c.listStorage(ctx)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	return list, nil
}

func (c *Client) listStorage(ctx context.Context) ([]StoredFile, error) {
	got, err := c.storage(ctx, http.MethodGet, "", nil)
	if err != nil {
		return nil, err
	}
	return parseStorageList(got.Body)
}

// parseStorageList reads the list, in either form: flat, an array of objects with vendor, app, name, size and link; or a
// tree, objects in objects. Firmware leaves octets of old in the places of links that are not there: control characters
// and what is no UTF-8, which are dropped. Source: MeshCommander, PullStorageResponse.
func parseStorageList(text []byte) ([]StoredFile, error) {
	if len(text) > maxStorageList {
		return nil, fmt.Errorf("%w: a list of %d octets", ErrTooLong, len(text))
	}
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(text), ""))
	var doc struct {
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal([]byte(clean), &doc); err != nil {
		return nil, fmt.Errorf("the list of stored files cannot be read: %w", err)
	}
	var list []StoredFile
	var err error
	if content := bytes.TrimSpace(doc.Content); len(content) > 0 && content[0] == '[' {
		list, err = flatStorage(content)
	} else if len(content) > 0 {
		list, err = treeStorage(content)
	}
	if err != nil {
		return nil, fmt.Errorf("the list of stored files cannot be read: %w", err)
	}
	if len(list) > maxStorageFiles {
		return nil, fmt.Errorf("%w: %d stored files", ErrTooLong, len(list))
	}
	slices.SortStableFunc(list, func(a, b StoredFile) int {
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Path(), b.Path()))
	})
	return list, nil
}

func flatStorage(content []byte) (list []StoredFile, err error) {
	var entries []struct {
		Vendor, App, Name, Link string
		Size                    int
	}
	if err := json.Unmarshal(content, &entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		list = append(list, StoredFile{Vendor: e.Vendor, App: e.App, Name: e.Name, Size: e.Size, Link: strings.TrimSpace(e.Link), Folder: e.Name == ""})
	}
	return list, nil
}

func treeStorage(content []byte) (list []StoredFile, err error) {
	type object = map[string]json.RawMessage
	var vendors object
	if err := json.Unmarshal(content, &vendors); err != nil {
		return nil, err
	}
	file := func(vendor, app, name string, text json.RawMessage) error {
		var f struct {
			Size int
			Link string
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return err
		}
		list = append(list, StoredFile{Vendor: vendor, App: app, Name: name, Size: f.Size, Link: strings.TrimSpace(f.Link), Folder: name == ""})
		return nil
	}
	for vendor, text := range vendors {
		if slices.Contains(StoredPages(), vendor) {
			if err := file("", "", vendor, text); err != nil {
				return nil, err
			}
			continue
		}
		var apps object
		if err := json.Unmarshal(text, &apps); err != nil {
			return nil, err
		}
		if len(apps) == 0 {
			list = append(list, StoredFile{Vendor: vendor, Folder: true})
		}
		for app, text := range apps {
			var files object
			if err := json.Unmarshal(text, &files); err != nil {
				return nil, err
			}
			if len(files) == 0 {
				list = append(list, StoredFile{Vendor: vendor, App: app, Folder: true})
			}
			for name, text := range files {
				if err := file(vendor, app, name, text); err != nil {
					return nil, err
				}
			}
		}
	}
	return list, nil
}

// ReadStored reads a stored file.
func (c *Client) ReadStored(ctx context.Context, path string) (StoredContent, error) {
	content, err := c.readStored(ctx, path)
	if err != nil {
		return content, fmt.Errorf("read stored %s: %w", path, err)
	}
	return content, nil
}

func (c *Client) readStored(ctx context.Context, path string) (StoredContent, error) {
	if _, err := ParseStoredPath(path); err != nil {
		return StoredContent{}, err
	}
	got, err := c.storage(ctx, http.MethodGet, path, nil)
	if err != nil {
		if errors.Is(err, errNoFile) {
			if _, bad := c.listStorage(ctx); bad != nil { // it may be that there is no storage at all
				err = bad
			}
		}
		return StoredContent{}, err
	}
	return StoredContent{Data: got.Body, ContentType: got.Header.Get("Content-Type"), ContentEncoding: got.Header.Get("Content-Encoding")}, nil
}

// WriteStored stores a file, in place of an older one, and reads it again to see that it is the same. link is the title
// of a link to it on the machine's own pages, "" for none. Firmware takes a file in pieces: when a later piece fails,
// what was stored by then is deleted again.
func (c *Client) WriteStored(ctx context.Context, path string, content StoredContent, link string) (StoredFile, error) {
	now, err := c.writeStored(ctx, path, content, link)
	if err != nil {
		return now, fmt.Errorf("store %s: %w", path, err)
	}
	return now, nil
}

func (c *Client) writeStored(ctx context.Context, path string, content StoredContent, link string) (StoredFile, error) {
	file, err := ParseStoredPath(path)
	if err != nil {
		return file, err
	}
	plainText := func(what, text string) error {
		if strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			return fmt.Errorf("%w: %s %q is not plain ASCII", ErrUsage, what, text)
		}
		return nil
	}
	for what, text := range map[string]string{"link": link, "content type": content.ContentType, "content encoding": content.ContentEncoding} {
		if err := plainText(what, text); err != nil {
			return file, err
		}
	}
	switch {
	case len(link) > maxStorageLink:
		return file, fmt.Errorf("%w: a link of %d characters, at most %d", ErrUsage, len(link), maxStorageLink)
	case len(content.Data) > maxStoredFile:
		return file, fmt.Errorf("%w: a file of %d octets; no firmware is known to keep more than %d", ErrUsage, len(content.Data), maxStoredFile)
	}
	if _, err := c.listStorage(ctx); err != nil { // is there storage at all?
		return file, err
	}
	if err := c.sendStored(ctx, path, storedMetadata(content, link), content.Data); err != nil {
		return file, err
	}
	again, err := c.readStored(ctx, path)
	if err != nil {
		return file, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	if !bytes.Equal(again.Data, content.Data) || again.ContentEncoding != content.ContentEncoding {
		return file, ErrDiffers
	}
	return c.findStored(ctx, path, link, len(content.Data))
}

// findStored reads a file's entry in the list and compares it. That is not asked of its size, which some firmware may
// count with the metadata.
func (c *Client) findStored(ctx context.Context, path, link string, size int) (StoredFile, error) {
	list, err := c.listStorage(ctx)
	if err != nil {
		return StoredFile{}, fmt.Errorf("accepted, but reading it again failed: %w", err)
	}
	i := slices.IndexFunc(list, func(f StoredFile) bool { return f.Path() == path && !f.Folder })
	if i < 0 || list[i].Link != link {
		return StoredFile{Size: size}, ErrDiffers
	}
	return list[i], nil
}

// storedMetadata says how a file is to be served.
func storedMetadata(content StoredContent, link string) []byte {
	out := "<metadata><headers>"
	if content.ContentEncoding != "" {
		out += "<h>Content-Encoding: " + escapeXML(content.ContentEncoding) + "</h>"
	}
	out += "<h>Content-Type: " + escapeXML(cmp.Or(content.ContentType, "application/octet-stream")) + "</h></headers>"
	if link != "" {
		out += "<link>" + escapeXML(link) + "</link>"
	}
	return []byte(out + "</metadata>")
}

// escapeXML writes text for an element without attributes.
func escapeXML(text string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(text)
}

// sendStored sends a file in pieces.
func (c *Client) sendStored(ctx context.Context, path string, metadata, data []byte) error {
	all := slices.Concat(metadata, data)
	for at := 0; at < len(all); at += storagePiece {
		target := path
		if at > 0 {
			target += "?append="
		}
		if _, err := c.storage(ctx, http.MethodPut, target, all[at:min(at+storagePiece, len(all))]); err != nil {
			if at > 0 && ctx.Err() == nil {
				if _, bad := c.storage(ctx, http.MethodDelete, path, nil); bad != nil {
					return fmt.Errorf("%w; and the part that was stored could not be deleted: %v", err, bad)
				}
			}
			return err
		}
	}
	return nil
}

// LinkStored gives a stored file another link, "" for none. Firmware knows a link only as part of a file: it is read and
// stored again.
func (c *Client) LinkStored(ctx context.Context, path, link string) (StoredFile, error) {
	content, err := c.readStored(ctx, path)
	var now StoredFile
	if err == nil {
		now, err = c.writeStored(ctx, path, content, link)
	}
	if err != nil {
		return now, fmt.Errorf("link stored %s: %w", path, err)
	}
	return now, nil
}

// RemoveStored deletes a stored file, and the folders that are empty then, and reads the list again to see that it is
// gone.
func (c *Client) RemoveStored(ctx context.Context, path string) error {
	if err := c.removeStored(ctx, path); err != nil {
		return fmt.Errorf("remove stored %s: %w", path, err)
	}
	return nil
}

func (c *Client) removeStored(ctx context.Context, path string) error {
	file, err := ParseStoredPath(path)
	if err != nil {
		return err
	}
	list, err := c.listStorage(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(f StoredFile) bool { return f.Path() == path && !f.Folder }) {
		return errNoFile
	}
	if _, err := c.storage(ctx, http.MethodDelete, path, nil); err != nil {
		return err
	}
	if list, err = c.listStorage(ctx); err != nil {
		return fmt.Errorf("accepted, but reading the list again failed: %w", err)
	}
	if slices.ContainsFunc(list, func(f StoredFile) bool { return f.Path() == path }) {
		return ErrDiffers
	}
	for _, folder := range []string{file.Vendor + "/" + file.App, file.Vendor} {
		if file.Vendor == "" || slices.ContainsFunc(list, func(f StoredFile) bool { return strings.HasPrefix(f.Path(), folder+"/") }) {
			break
		}
		if _, err := c.storage(ctx, http.MethodDelete, folder, nil); err != nil && !errors.Is(err, errNoFile) {
			break // an empty folder takes no room
		}
		list = slices.DeleteFunc(list, func(f StoredFile) bool { return f.Path() == folder })
	}
	return nil
}
