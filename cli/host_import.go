package cli

import (
	"bytes"
	"errors"
	"os"

	"github.com/outband/outband/console/hosts"
)

type hostImportCmd struct {
	File    string `arg:"" help:"The file; - is stdin."`
	From    string `enum:"auto,amtctrl,meshcommander,meshcentral" default:"auto" help:"Program that wrote it: amtctrl, meshcommander, meshcentral; auto looks at the content."`
	Replace bool   `help:"Replace entries of the same name."`
}

func (hostImportCmd) Help() string {
	return "Reads hosts.cfg of amtctrl (nomis/intel-amt), the computer list of MeshCommander, and what meshctrl ListDevices --json prints. " +
		"Passwords are taken over and encrypted. Of an encrypted list of MeshCommander the password is asked for.\n\n" +
		example("outband host import ~/.config/amtctrl/hosts.cfg", "outband host import computerlist.json")
}

func (c *hostImportCmd) Run(a *app) error {
	text, err := a.readAll(c.File)
	if err != nil {
		return err
	}
	got, err := c.parse(a, text)
	if err != nil {
		return err
	}
	db, err := a.database()
	if err != nil {
		return err
	}
	var put []hosts.Host
	for _, h := range got.Hosts {
		if _, err := db.Get(h.Name); err == nil && !c.Replace {
			got.Notes = append(got.Notes, hosts.Note{Entry: h.Name, Skipped: true, Reason: "there is a host of that name; --replace replaces it"})
			continue
		}
		put = append(put, h)
	}
	if len(put) > 0 {
		if err := db.Put(a.ctx, put...); err != nil {
			return err
		}
	}
	for _, n := range got.Notes {
		a.note("%s", n)
	}
	out := a.printer(hostColumn(put), column{"ADDRESS", 0})
	for _, h := range put {
		if err := out.record(recordOf(h), plain(h.Name), plain(h.Address)); err != nil {
			return err
		}
	}
	if len(put) == 0 {
		return &failure{exitFailed, errors.New("no host was imported"), ""}
	}
	return nil
}

func (c *hostImportCmd) parse(a *app, text []byte) (hosts.Import, error) {
	from := c.From
	if from == "auto" {
		from = "amtctrl"
		if body := bytes.TrimLeft(text, "\ufeff \t\r\n"); len(body) > 0 && (body[0] == '{' || body[0] == '[' && bytes.HasPrefix(bytes.TrimSpace(body[1:]), []byte("{"))) {
			from = "meshcommander"
			if bytes.Contains(body, []byte(`"intelamt"`)) {
				from = "meshcentral"
			}
		}
	}
	switch from {
	case "meshcentral":
		got, err := hosts.ImportMeshCentral(bytes.NewReader(text))
		return got, asUsage(err)
	case "amtctrl":
		got, err := hosts.ImportAmtctrl(bytes.NewReader(text))
		return got, asUsage(err)
	}
	got, err := hosts.ImportMeshCommander(bytes.NewReader(text), "")
	if errors.Is(err, hosts.ErrFilePassword) {
		password, ok, askErr := a.askPassword("Password of " + c.File)
		if askErr != nil {
			return got, askErr
		}
		if ok {
			got, err = hosts.ImportMeshCommander(bytes.NewReader(text), password)
		}
	}
	return got, asUsage(err)
}

func asUsage(err error) error {
	if err == nil {
		return nil
	}
	return usage("--from says which program wrote the file", "%w", err)
}

const maxFile = 64 << 20 // bytes of a file that a command reads

// readAll reads a file, or stdin for "-".
func (a *app) readAll(name string) ([]byte, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("", "%w", err)
		}
		defer f.Close()
		in = f
	}
	return readLimited(in, maxFile)
}
