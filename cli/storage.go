package cli

import (
	"context"
	"fmt"
	"mime"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type storageCmd struct {
	List   storageListCmd   `cmd:"" help:"List the files that AMT keeps for others."`
	Get    storageGetCmd    `cmd:"" help:"Read a file."`
	Put    storagePutCmd    `cmd:"" help:"Store a small file, which browsers can fetch from AMT."`
	Link   storageLinkCmd   `cmd:"" help:"Show a link to a file on AMT's own pages, or none."`
	Remove storageRemoveCmd `cmd:"" aliases:"delete" help:"Delete a file."`
}

// A storageRecord is one stored file of one machine.
type storageRecord struct {
	Host     string   `json:"host"`
	OK       bool     `json:"ok"`
	Path     string   `json:"path,omitempty"`
	Size     *int     `json:"size,omitempty"` // octets as stored
	Link     string   `json:"link,omitempty"`
	Folder   bool     `json:"folder,omitempty"` // an empty one
	Type     string   `json:"content_type,omitempty"`
	Encoding string   `json:"content_encoding,omitempty"`
	File     string   `json:"file,omitempty"` // that was written here
	Removed  bool     `json:"removed,omitempty"`
	Error    *problem `json:"error,omitempty"`
}

func newStorageRecord(host string, f console.StoredFile) storageRecord {
	r := storageRecord{Host: host, OK: true, Path: f.Path(), Link: f.Link, Folder: f.Folder}
	if !f.Folder {
		r.Size = &f.Size
	}
	return r
}

func storageColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"FILE", 28}, {"SIZE", 8}, {"LINK", 0}}
}

func (r *storageRecord) cells() []cell {
	if r.Folder {
		return []cell{plain(r.Host), plain(r.Path + "/"), {"empty", toneFaint}, plain("")}
	}
	return []cell{plain(r.Host), plain(r.Path), plain(strconv.Itoa(*r.Size)), plain(r.Link)}
}

const storageHelp = "AMT's web server has some room for files (11.6 and newer, until it lost its web pages with 16.1). A file is named Vendor/App/name, " +
	"at most 11 characters each; index.htm and logon.htm alone stand in for AMT's own pages (see outband web).\n\n"

type storageListCmd struct{ Many }

func (storageListCmd) Help() string {
	return storageHelp + example("outband storage list nuc1", "outband storage list @lab -o json")
}

func (c *storageListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(storageColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.StoredFile, error) {
		return client.Storage(ctx)
	}, func(h hosts.Host, files []console.StoredFile, bad *failure) error {
		if bad != nil {
			return out.failed(storageRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		for _, f := range files {
			r := newStorageRecord(h.Name, f)
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		if len(files) == 0 {
			a.note("%s: no stored files", h.Name)
		}
		return nil
	})
}

// stored is which file of which machines.
type stored struct {
	Path string `arg:"" help:"Vendor/App/name, or index.htm or logon.htm."`
	Many
}

// do does something with a file of every machine and shows it as it was read again.
func (c *stored) do(a *app, change func(ctx context.Context, client *console.Client) (console.StoredFile, error)) error {
	if _, err := console.ParseStoredPath(c.Path); err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(storageColumns(list)...)
	return eachHost(a, list, c.Many, change, func(h hosts.Host, f console.StoredFile, bad *failure) error {
		if bad != nil {
			return out.failed(storageRecord{Host: h.Name, Path: c.Path, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newStorageRecord(h.Name, f)
		return out.record(r, r.cells()...)
	})
}

type storageGetCmd struct {
	Path string `arg:"" help:"Vendor/App/name, or index.htm or logon.htm."`
	Host string `arg:"" optional:"" name:"host" help:"Name or address; default AMT_HOST."`
	File string `short:"f" required:"" placeholder:"FILE" help:"Where to write; - is stdout."`
}

func (storageGetCmd) Help() string {
	return "It is written as it is stored: compressed, if it is.\n\n" + example("outband storage get Acme/Docs/notes.txt nuc1 -f notes.txt")
}

func (c *storageGetCmd) Run(a *app) error {
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn([]hosts.Host{h}), column{"FILE", 28}, column{"SIZE", 8}, column{"TYPE", 24}, column{"WRITTEN TO", 0})
	return eachHost(a, []hosts.Host{h}, Many{Fanout: 1}, func(ctx context.Context, client *console.Client) (console.StoredContent, error) {
		content, err := client.ReadStored(ctx, c.Path)
		if err == nil && c.File != "-" {
			err = writeFile(c.File, content.Data)
		}
		return content, err
	}, func(h hosts.Host, content console.StoredContent, bad *failure) error {
		if bad != nil {
			return out.failed(storageRecord{Host: h.Name, Path: c.Path, Error: problemOf(bad)}, false, nil)
		}
		if c.File == "-" {
			_, err := a.out.Write(content.Data)
			return err
		}
		r := storageRecord{Host: h.Name, OK: true, Path: c.Path, Size: new(len(content.Data)), Type: content.ContentType, Encoding: content.ContentEncoding, File: c.File}
		kind := r.Type
		if r.Encoding != "" {
			kind += " (" + r.Encoding + ")"
		}
		return out.record(r, plain(h.Name), plain(c.Path), plain(strconv.Itoa(*r.Size)), plain(kind), plain(c.File))
	})
}

type storagePutCmd struct {
	File string `arg:"" help:"File to store; - is stdin. What ends in .gz or .br is served as compressed."`
	stored
	Type string `placeholder:"TYPE" help:"Media type to serve it with, such as text/html; default by the name of FILE."`
	Link string `placeholder:"TITLE" help:"Show a link of that title on AMT's own pages."`
}

func (storagePutCmd) Help() string {
	return storageHelp + "The file is read again and compared.\n\n" +
		example("outband storage put notes.txt Acme/Docs/notes.txt nuc1", `outband storage put tool.htm.gz Acme/Tool/tool.htm nuc1 --link "Acme tool"`)
}

// content reads the file and finds out what it is.
func (c *storagePutCmd) content(a *app) (content console.StoredContent, err error) {
	if content.Data, err = a.readAll(c.File); err != nil {
		return content, err
	}
	name := c.File
	switch filepath.Ext(name) {
	case ".gz":
		content.ContentEncoding = "gzip"
	case ".br":
		content.ContentEncoding = "br"
	}
	if content.ContentEncoding != "" {
		name = strings.TrimSuffix(name, filepath.Ext(name))
	}
	if content.ContentType = c.Type; c.Type == "" {
		content.ContentType = mediaType(name)
	}
	return content, nil
}

// mediaType guesses by the name, the same on every computer.
func mediaType(name string) string {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".htm", ".html":
		return "text/html"
	case ".txt":
		return "text/plain"
	case ".js":
		return "text/javascript"
	case ".css":
		return "text/css"
	default:
		if kind, _, err := mime.ParseMediaType(mime.TypeByExtension(ext)); err == nil {
			return kind
		}
	}
	return "application/octet-stream"
}

func (c *storagePutCmd) Run(a *app) error {
	if _, err := console.ParseStoredPath(c.Path); err != nil {
		return err
	}
	content, err := c.content(a)
	if err != nil {
		return err
	}
	return c.do(a, func(ctx context.Context, client *console.Client) (console.StoredFile, error) {
		return client.WriteStored(ctx, c.Path, content, c.Link)
	})
}

type storageLinkCmd struct {
	stored
	Title string `placeholder:"TITLE" xor:"link" help:"Title of the link."`
	None  bool   `xor:"link" help:"No link."`
}

func (storageLinkCmd) Help() string {
	return "AMT keeps the link as a part of the file, which is therefore read and stored again.\n\n" +
		example(`outband storage link Acme/Docs/notes.txt nuc1 --title "Notes of this computer"`, "outband storage link Acme/Docs/notes.txt nuc1 --none")
}

func (c *storageLinkCmd) Run(a *app) error {
	if (c.Title == "") == !c.None {
		return usage("", "--title says what the link is called, --none that there is to be none")
	}
	return c.do(a, func(ctx context.Context, client *console.Client) (console.StoredFile, error) {
		return client.LinkStored(ctx, c.Path, c.Title)
	})
}

type storageRemoveCmd struct {
	stored
	Yes bool `short:"y" help:"Do not ask before deleting it from several machines."`
}

func (storageRemoveCmd) Help() string {
	return "Folders that are empty then go as well.\n\n" + example("outband storage remove Acme/Docs/notes.txt nuc1")
}

func (c *storageRemoveCmd) Run(a *app) error {
	return removeStored(a, c.Many, c.Yes, c.Path, fmt.Sprintf("delete %s", c.Path), func(ctx context.Context, client *console.Client) error {
		return client.RemoveStored(ctx, c.Path)
	})
}

// removeStored deletes a file of every machine.
func removeStored(a *app, m Many, yes bool, path, what string, remove func(ctx context.Context, client *console.Client) error) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	if err := a.sure(yes, len(list), what); err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"FILE", 28}, column{"STATE", 0})
	return eachHost(a, list, m, func(ctx context.Context, client *console.Client) (struct{}, error) {
		return struct{}{}, remove(ctx, client)
	}, func(h hosts.Host, _ struct{}, bad *failure) error {
		if bad != nil {
			return out.failed(storageRecord{Host: h.Name, Path: path, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.record(storageRecord{Host: h.Name, OK: true, Path: path, Removed: true}, plain(h.Name), plain(path), cell{"removed", toneWarn})
	})
}
