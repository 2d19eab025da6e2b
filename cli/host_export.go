package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/outband/outband/console/hosts"
)

type hostExportCmd struct {
	File             string   `arg:"" help:"Where to write; - is stdout."`
	Names            []string `arg:"" optional:"" name:"known" help:"Names, ranges, tags; default is all."`
	Passwords        bool     `help:"With the passwords that are stored; the file is encrypted with a password of its own then."`
	Encrypt          bool     `help:"Encrypt the file, also without passwords in it."`
	FilePasswordFile string   `placeholder:"FILE" help:"First line of FILE is the password of the file; default is OUTBAND_FILE_PASSWORD, or to ask."`
}

func (hostExportCmd) Help() string {
	return "Writes a computer list of MeshCommander, which outband host import reads too. Tags but the first, notes, pinned certificates and files of " +
		"certificates are not in it: to move all of it, copy hosts.json and identity.txt.\n\n" +
		example("outband host export list.json", "outband host export lab.json @lab --passwords")
}

func (c *hostExportCmd) Run(a *app) error {
	db, err := a.database()
	if err != nil {
		return err
	}
	list := db.List()
	if len(c.Names) > 0 {
		if list, err = a.known(c.Names); err != nil {
			return err
		}
	}
	filePassword := ""
	var password func(hosts.Host) (string, error)
	if c.Passwords || c.Encrypt {
		if filePassword, err = a.secret(c.FilePasswordFile, "--file-password-file", "OUTBAND_FILE_PASSWORD", "Password of "+c.File); err != nil {
			return err
		}
	}
	if c.Passwords {
		password = func(h hosts.Host) (string, error) {
			text, err := db.Password(a.ctx, h)
			if errors.Is(err, hosts.ErrNoPassword) {
				err = nil
			}
			return text, err
		}
	}
	var text bytes.Buffer
	if err := hosts.ExportMeshCommander(&text, list, password, filePassword); err != nil {
		return err
	}
	if c.File == "-" {
		_, err := text.WriteTo(a.out)
		return err
	}
	if err := writeFile(c.File, text.Bytes()); err != nil {
		return err
	}
	r := struct {
		File      string `json:"file"`
		OK        bool   `json:"ok"`
		Hosts     int    `json:"hosts"`
		Encrypted bool   `json:"encrypted"`
	}{c.File, true, len(list), filePassword != ""}
	how := "in clear text"
	if r.Encrypted {
		how = "encrypted"
	}
	return a.printer(column{"FILE", 24}, column{"HOSTS", 10}, column{"HOW", 0}).record(r, plain(c.File), plain(plural(len(list), "host")), plain(how))
}

type hostSetCmd struct {
	Names []string `arg:"" name:"known" help:"Names, ranges, tags."`
	Tag   []string `placeholder:"TAG" help:"Put them in a group; may be repeated."`
	Untag []string `placeholder:"TAG" help:"Take them out of a group; may be repeated."`
	Note  *string  `placeholder:"TEXT" help:"Something for people; an empty text removes it."`
}

func (hostSetCmd) Help() string {
	return "Changes groups and notes. What reaching a machine needs is changed by outband host add NAME ADDRESS --replace, which looks at it.\n\n" +
		example("outband host set nuc1 nuc2 --tag lab", "outband host set @lab --untag lab --note 'moved to floor 2'")
}

func (c *hostSetCmd) Run(a *app) error {
	if c.Tag == nil && c.Untag == nil && c.Note == nil {
		return usage("", "nothing to change: --tag, --untag or --note says what")
	}
	list, err := a.known(c.Names)
	if err != nil {
		return err
	}
	for i := range list {
		h := &list[i]
		h.Tags = slices.DeleteFunc(slices.Clone(h.Tags), func(tag string) bool {
			return slices.ContainsFunc(c.Untag, func(gone string) bool { return strings.EqualFold(gone, tag) })
		})
		for _, tag := range c.Tag {
			if !h.HasTag(tag) {
				h.Tags = append(h.Tags, tag)
			}
		}
		if c.Note != nil {
			h.Note = *c.Note
		}
		if err := h.Validate(); err != nil {
			return usage("", "%w", err)
		}
	}
	db, err := a.database()
	if err != nil {
		return err
	}
	if err := db.Put(a.ctx, list...); err != nil {
		return err
	}
	return a.listHosts(list)
}
