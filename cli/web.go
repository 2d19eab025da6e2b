package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type webCmd struct {
	Show   webShowCmd   `cmd:"" help:"Tell what web pages a machine shows, and which of them are replaced."`
	Set    webSetCmd    `cmd:"" help:"Show a page of your own instead of AMT's."`
	Remove webRemoveCmd `cmd:"" aliases:"delete" help:"Show AMT's own page again."`
}

// A webRecord is what a browser gets to see of one machine.
type webRecord struct {
	Host     string    `json:"host"`
	OK       bool      `json:"ok"`
	Served   *bool     `json:"served,omitempty"`      // there are pages now
	Enabled  *bool     `json:"enabled,omitempty"`     // AMT_WebUIService
	Storage  *bool     `json:"replaceable,omitempty"` // pages can be replaced
	Replaced []webPage `json:"replaced,omitempty"`
	Error    *problem  `json:"error,omitempty"`
}

type webPage struct {
	Page string `json:"page"`
	Size int    `json:"size"` // octets as stored
}

const webHelp = "AMT has web pages until 16.1, and lets them be replaced from 11.6 on: index.htm is what a browser sees after logging on, " +
	"logon.htm what it sees before.\n\n"

type webShowCmd struct{ Many }

func (webShowCmd) Help() string { return webHelp + example("outband web show nuc1") }

func (c *webShowCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"WEB PAGES", 9}, column{"REPLACED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.WebUI, error) {
		return client.WebUI(ctx)
	}, func(h hosts.Host, w console.WebUI, bad *failure) error {
		if bad != nil {
			return out.failed(webRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := webRecord{Host: h.Name, OK: true, Served: &w.Served, Enabled: w.Enabled, Storage: &w.Storage}
		var replaced []string
		for _, f := range w.Replaced {
			r.Replaced = append(r.Replaced, webPage{f.Name, f.Size})
			replaced = append(replaced, fmt.Sprintf("%s (%d octets)", f.Name, f.Size))
		}
		state, text := cell{"on", toneGood}, plain(first(strings.Join(replaced, ", "), "none"))
		switch {
		case w.Enabled != nil && !*w.Enabled:
			state = cell{"off", toneWarn}
		case !w.Served:
			state = cell{"none", toneFaint}
		}
		if !w.Storage {
			text = cell{"cannot be", toneFaint}
		}
		return out.record(r, plain(h.Name), state, text)
	})
}

type webSetCmd struct {
	File string `arg:"" help:"The page, in HTML or compressed by gzip; - is stdin."`
	Many
	Logon bool `help:"It is the page before logging on, logon.htm, not index.htm."`
	Yes   bool `short:"y" help:"Do not ask before changing several machines."`
}

func (webSetCmd) Help() string {
	return webHelp + "One file holds the whole page. It is stored compressed, and must fit with other stored files: 64 KiB is safe, more may be refused.\n\n" +
		example("outband web set console.html nuc1")
}

// pageName is the page that is meant.
func pageName(logon bool) string {
	if logon {
		return "logon.htm"
	}
	return "index.htm"
}

func (c *webSetCmd) Run(a *app) error {
	page, err := a.readAll(c.File)
	if err != nil {
		return err
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	name := pageName(c.Logon)
	if err := a.sure(c.Yes, len(list), "replace "+name); err != nil {
		return err
	}
	out := a.printer(storageColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.StoredFile, error) {
		return client.SetWebPage(ctx, name, page)
	}, func(h hosts.Host, f console.StoredFile, bad *failure) error {
		if bad != nil {
			return out.failed(storageRecord{Host: h.Name, Path: name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newStorageRecord(h.Name, f)
		return out.record(r, r.cells()...)
	})
}

type webRemoveCmd struct {
	Many
	Logon bool `help:"The page before logging on, logon.htm, not index.htm."`
	Yes   bool `short:"y" help:"Do not ask before changing several machines."`
}

func (webRemoveCmd) Help() string { return example("outband web remove nuc1") }

func (c *webRemoveCmd) Run(a *app) error {
	name := pageName(c.Logon)
	return removeStored(a, c.Many, c.Yes, name, "show AMT's own "+name, func(ctx context.Context, client *console.Client) error {
		return client.RemoveWebPage(ctx, name)
	})
}
