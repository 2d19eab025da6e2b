package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/wire/auditlog"
)

type auditExportCmd struct {
	Host   string `arg:"" optional:"" help:"Name or address; default AMT_HOST."`
	File   string `short:"f" placeholder:"FILE" help:"Where to write; default is stdout."`
	Format string `enum:"json,raw" default:"json" placeholder:"FORM" help:"json, or raw: the records' octets one behind the other, and the signature in FILE.sig."`
	Hash   string `enum:"sha1,sha256,sha384" default:"sha256" placeholder:"HASH" help:"What the machine signs: sha1, sha256 or sha384; default sha256."`
}

func (auditExportCmd) Help() string {
	return "The machine signs its log if it has a key to (outband audit key); outband audit verify checks that later, without the machine. With " +
		"-o json and a file the result is told in JSON; without a file the export itself is.\n\n" +
		example("outband audit export nuc1 -f nuc1.json", "outband audit export nuc1 --format raw -f nuc1.log")
}

// An auditExportRecord is what became of an export, or of checking one.
type auditExportRecord struct {
	Host      string    `json:"host"`
	OK        bool      `json:"ok"`
	File      string    `json:"file,omitempty"`
	Records   *int      `json:"records,omitempty"`
	Signed    *bool     `json:"signed,omitempty"`
	Signer    string    `json:"signer,omitempty"`
	Mechanism string    `json:"mechanism,omitempty"`
	Generated time.Time `json:"generated,omitzero"`
	Trusted   *bool     `json:"trusted,omitempty"` // the signer leads to an authority that was named
	Error     *problem  `json:"error,omitempty"`
}

func (c *auditExportCmd) Run(a *app) error {
	if c.Format == "raw" && c.File == "" {
		return usage("", "--format raw goes with --file")
	}
	hash := map[string]auditlog.Mechanism{"sha1": auditlog.RSASHA1, "sha256": auditlog.RSASHA256, "sha384": auditlog.RSASHA384}[c.Hash]
	var given []string
	if c.Host != "" {
		given = []string{c.Host}
	}
	list, err := a.targets(given)
	if err == nil && len(list) != 1 {
		err = usage("", "one machine at a time is exported, not %d", len(list))
	}
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"EXPORT", 0})
	return eachHost(a, list, Many{Fanout: 1}, func(ctx context.Context, client *console.Client) (*console.AuditExport, error) {
		x, err := client.ExportAudit(ctx, hash)
		return x, auditHint(err)
	}, func(h hosts.Host, x *console.AuditExport, bad *failure) error {
		if bad != nil {
			return out.failed(auditExportRecord{Host: h.Name, Error: problemOf(bad)}, false, nil)
		}
		x.Host = h.Name
		signed := x.Signature != nil
		if !signed {
			a.note("%s: the machine has no key to sign with, so the export is not signed; outband audit key gives it one", h.Name)
		}
		if c.File == "" {
			enc := json.NewEncoder(a.out)
			return enc.Encode(x)
		}
		if err := c.write(x); err != nil {
			return err
		}
		text := plural(len(x.Records), "record") + " in " + c.File
		if signed {
			text += ", signed"
		}
		return out.record(auditExportRecord{Host: h.Name, OK: true, File: c.File, Records: new(len(x.Records)), Signed: &signed}, plain(h.Name), plain(text))
	})
}

func (c *auditExportCmd) write(x *console.AuditExport) error {
	var file bytes.Buffer
	if c.Format == "json" {
		if err := x.Write(&file); err != nil {
			return err
		}
		return writeFile(c.File, file.Bytes())
	}
	if x.Signature != nil {
		text, err := json.MarshalIndent(x.Signature, "", " ")
		if err == nil {
			err = writeFile(c.File+".sig", append(text, '\n'))
		}
		if err != nil {
			return err
		}
	}
	return writeFile(c.File, bytes.Join(x.Records, nil))
}

type auditVerifyCmd struct {
	File      string `arg:"" help:"What outband audit export wrote."`
	Authority string `placeholder:"FILE" help:"Certificates (PEM) of the authorities that the signer must lead to. Without it the export's own count, which proves only that nothing was changed since."`
}

func (auditVerifyCmd) Help() string {
	return "Fails if a record was changed, added or left out, or the signer is not trusted. What real firmware puts under its signature is not " +
		"published: two readings of it are tried, and an export that fits neither is refused.\n\n" +
		example("outband audit verify nuc1.json --authority corp-ca.pem", "outband audit verify nuc1.log")
}

func (c *auditVerifyCmd) Run(a *app) error {
	out := a.printer(column{"FILE", len(c.File)}, column{"RECORDS", 0}, column{"SIGNATURE", 0})
	r, err := c.verify()
	if err != nil {
		f := judge(err)
		switch {
		case errors.Is(err, auditlog.ErrSignature):
			f = &failure{exitTrust, err, "the records are not those that the machine has signed"}
		case errors.Is(err, auditlog.ErrChain):
			f = &failure{exitTrust, err, "--authority names the authority that the signer is to lead to"}
		case errors.Is(err, console.ErrUnsigned):
			f = &failure{exitTrust, err, "the machine had no signing key; outband audit key gives it one"}
		}
		r.OK, r.Error = false, problemOf(f)
		if err := out.failed(r, false, nil); err != nil {
			return err
		}
		return f
	}
	how := "good, signed by " + r.Signer
	if !*r.Trusted {
		how += " (no authority was named)"
	}
	return out.record(r, plain(c.File), plain(fmt.Sprint(*r.Records)), cell{how, toneGood})
}

func (c *auditVerifyCmd) verify() (auditExportRecord, error) {
	r := auditExportRecord{File: c.File, OK: true}
	x, err := c.read()
	if err != nil {
		return r, fmt.Errorf("verify %s: %w", c.File, err)
	}
	r.Host, r.Records, r.Signed = x.Host, new(len(x.Records)), new(x.Signature != nil)
	if x.Signature != nil {
		r.Mechanism, r.Generated = x.Signature.Mechanism.String(), x.Signature.Generated
	}
	var authorities []byte
	if c.Authority != "" {
		if authorities, err = os.ReadFile(c.Authority); err != nil {
			return r, usage("", "--authority: %v", err)
		}
	}
	r.Signer, err = x.Verify(authorities)
	if err != nil {
		return r, fmt.Errorf("verify %s: %w", c.File, err)
	}
	r.Trusted = new(c.Authority != "")
	return r, nil
}

// read reads an export of either form.
func (c *auditVerifyCmd) read() (*console.AuditExport, error) {
	text, err := os.ReadFile(c.File)
	if err != nil {
		return nil, usage("", "%v", err)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return console.ReadAuditExport(bytes.NewReader(text))
	}
	x := &console.AuditExport{}
	for len(text) > 0 {
		_, rest, err := auditlog.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%w: %v", console.ErrNoExport, err)
		}
		x.Records = append(x.Records, text[:len(text)-len(rest)])
		text = rest
	}
	sig, err := os.ReadFile(c.File + ".sig")
	if errors.Is(err, os.ErrNotExist) {
		return x, nil
	}
	if err == nil {
		err = json.Unmarshal(sig, &x.Signature)
	}
	return x, err
}

type auditKeyCmd struct {
	Many
	KeyFile  string `name:"signing-key" placeholder:"FILE" help:"RSA key of 2048 bits, PEM."`
	CertFile string `name:"signing-cert" placeholder:"FILE" help:"Its certificate and those above it, PEM: at most 5, 4100 octets together."`
}

func (auditKeyCmd) Help() string {
	return "Without files it is only shown whether the machine has a key. The key cannot be read back.\n\n" +
		example("outband audit key nuc1", "outband audit key @lab --signing-key audit.key --signing-cert audit.pem")
}

func (c *auditKeyCmd) Run(a *app) error {
	var key, chain []byte
	if (c.KeyFile == "") != (c.CertFile == "") {
		return usage("", "--signing-key and --signing-cert go together")
	}
	if c.KeyFile != "" {
		var err error
		if key, err = os.ReadFile(c.KeyFile); err == nil {
			chain, err = os.ReadFile(c.CertFile)
		}
		if err != nil {
			return usage("", "%v", err)
		}
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"SIGNING KEY", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.AuditState, error) {
		if key != nil {
			if err := client.SetAuditKey(ctx, key, chain); err != nil {
				return console.AuditState{}, auditHint(err)
			}
		}
		return client.AuditState(ctx)
	}, func(h hosts.Host, s console.AuditState, bad *failure) error {
		if bad != nil {
			return out.failed(auditStateRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		text := cell{"none", toneWarn}
		if s.Signing {
			text = cell{"set", toneGood}
		}
		return out.record(auditStateRecord{Host: h.Name, OK: true, Signing: &s.Signing}, plain(h.Name), text)
	})
}
