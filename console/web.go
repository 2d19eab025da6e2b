package console

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
)

// A WebUI is what a browser gets to see of a machine.
type WebUI struct {
	Served   bool         // there are pages now
	Enabled  *bool        // AMT_WebUIService; nil: not told
	Storage  bool         // pages can be replaced (11.6 and newer)
	Replaced []StoredFile // pages that a stored file stands in for
}

// WebUI reads what a browser gets to see.
func (c *Client) WebUI(ctx context.Context) (WebUI, error) {
	w, err := c.webUI(ctx)
	if err != nil {
		return w, fmt.Errorf("web pages: %w", err)
	}
	return w, nil
}

func (c *Client) webUI(ctx context.Context) (w WebUI, err error) {
	var service *amt.WebUIService
	var list []StoredFile
	err = together(
		func() (err error) { service, err = got[amt.WebUIService](ctx, c); return err },
		func() error {
			page, err := c.page(ctx, http.MethodGet, "/logon.htm", nil)
			w.Served = err == nil && page.Status == http.StatusOK
			return err
		},
		func() (err error) {
			if list, err = c.listStorage(ctx); errors.Is(err, ErrUnsupported) {
				return nil
			}
			w.Storage = err == nil
			return err
		})
	if err != nil {
		return w, err
	}
	if s := service.EnabledState; s != nil {
		w.Enabled = new(*s != cim.EnabledStateDisabled)
	}
	for _, f := range list {
		if f.Vendor == "" && !f.Folder {
			w.Replaced = append(w.Replaced, f)
		}
	}
	return w, nil
}

// SetWebPage shows a page of one's own instead of one of the machine's: "index.htm", what a browser sees after logging
// on, or "logon.htm", what it sees before. It is stored compressed, unless it is so already. The page is read again.
func (c *Client) SetWebPage(ctx context.Context, name string, page []byte) (StoredFile, error) {
	data, err := compressed(page)
	var now StoredFile
	if err == nil {
		if f, bad := ParseStoredPath(name); bad != nil || f.Vendor != "" {
			err = fmt.Errorf("%w: %q is none of the pages %v", ErrUsage, name, StoredPages())
		}
	}
	if err == nil {
		now, err = c.writeStored(ctx, name, StoredContent{Data: data, ContentType: "text/html", ContentEncoding: "gzip"}, "")
	}
	if err != nil {
		return now, fmt.Errorf("set web page %s: %w", name, err)
	}
	return now, nil
}

// compressed returns a page as gzip has it.
func compressed(page []byte) ([]byte, error) {
	if len(page) == 0 {
		return nil, fmt.Errorf("%w: the page is empty", ErrUsage)
	}
	if bytes.HasPrefix(page, []byte{0x1f, 0x8b}) {
		return page, nil
	}
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(page); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// RemoveWebPage takes a page of one's own away, so that the machine's is shown again. No page is an error that wraps
// [ErrUsage].
func (c *Client) RemoveWebPage(ctx context.Context, name string) error {
	err := c.removeStored(ctx, name)
	if errors.Is(err, errNoFile) {
		err = fmt.Errorf("%w: %s is the machine's own", ErrUsage, name)
	}
	if err != nil {
		return fmt.Errorf("remove web page %s: %w", name, err)
	}
	return nil
}
