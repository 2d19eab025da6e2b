package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type eraseCmd struct {
	Host              string        `arg:"" optional:"" name:"host" help:"Name or address; default AMT_HOST."`
	Part              []string      `required:"" placeholder:"PART" help:"What to erase; see above."`
	PSIDFile          string        `name:"psid-file" placeholder:"FILE" help:"First line of FILE is the PSID that is printed on the drive; default is AMT_PSID, or to ask."`
	DrivePasswordFile string        `placeholder:"FILE" help:"First line of FILE is the password of the drive; default is AMT_DRIVE_PASSWORD, or that it has none."`
	OEMDataFile       string        `name:"oem-data-file" placeholder:"FILE" help:"FILE holds the OEM's data, in hex."`
	Wait              time.Duration `placeholder:"TIME" help:"How long to wait for the result; default 30m.."`
	Twice
}

func (eraseCmd) Help() string {
	return "Takes away for good what is on a machine. Parts are those of remote platform erase (release 16 and newer): pyrite (revert the drive by its PSID), " +
		"ssd (secure erase of all SSDs), verify (that they are empty), tpm, nvm (variables of the BIOS), bios (reload its golden configuration), oem, " +
		"csme (unconfigure the engine: AMT is unprovisioned); or secure-erase alone, which releases from 11 on have. outband boot settings shows what a " +
		"machine can. It is started at once, and the result is what the BIOS tells. The machine is named twice: at a prompt, or by --yes.\n\n" +
		example("outband erase nuc1 --part ssd,tpm,nvm", "outband erase nuc1 --part pyrite --psid-file psid --yes nuc1",
			"outband erase nuc1 --part secure-erase --drive-password-file pw --yes nuc1")
}

// secureErase is the part that is no platform erase.
const secureErase = "secure-erase"

// An eraseRecord is what became of an erase.
type eraseRecord struct {
	Host   string   `json:"host"`
	OK     bool     `json:"ok"`
	Parts  []string `json:"parts"`
	Status string   `json:"status,omitempty"` // as the BIOS told it
	Proof  string   `json:"proof,omitempty"`
	TookMS int64    `json:"took_ms,omitempty"`
	Error  *problem `json:"error,omitempty"`
}

// request reads the flags, and the secrets from where they are.
func (c *eraseCmd) request(a *app) (req console.EraseRequest, err error) {
	for _, word := range c.Part {
		if strings.EqualFold(word, secureErase) {
			if len(c.Part) > 1 {
				return req, usage("", "--part secure-erase stands alone; with platform erase it is --part ssd")
			}
			continue
		}
		p, err := console.ParseErasePart(word)
		if err != nil {
			return req, usage("secure-erase alone is what releases from 11 on have", "--part: %w", err)
		}
		req.Parts = append(req.Parts, p)
		if p == console.ErasePyrite {
			if req.PSID, err = a.secret(c.PSIDFile, "--psid-file", "AMT_PSID", "PSID of the drive"); err != nil {
				return req, err
			}
		}
	}
	if c.DrivePasswordFile != "" || a.env("AMT_DRIVE_PASSWORD") != "" {
		if req.DrivePassword, err = a.secret(c.DrivePasswordFile, "--drive-password-file", "AMT_DRIVE_PASSWORD", "Password of the drive"); err != nil {
			return req, err
		}
	}
	if c.OEMDataFile != "" {
		text, err := a.readAll(c.OEMDataFile)
		if err != nil {
			return req, err
		}
		if req.OEMData, err = console.ParseOEMData(string(text)); err != nil {
			return req, err
		}
	}
	return req, nil
}

func (c *eraseCmd) Run(a *app) error {
	h, err := a.target(c.Host)
	if err != nil {
		return err
	}
	req, err := c.request(a)
	if err != nil {
		return err
	}
	if req.Wait = c.Wait; c.Wait < 0 {
		return usage("", "--wait: %v is negative", c.Wait)
	}
	what := strings.Join(c.Part, ", ")
	if err := c.Twice.check(a, h, fmt.Sprintf("erase %s of %s", what, h.Name)); err != nil {
		return err
	}
	req.Told = func(news string) { a.note("%s: %s", h.Name, news) }
	out := a.printer(hostColumn([]hosts.Host{h}), column{"ERASED", 24}, column{"RESULT", 0})
	return eachHost(a, []hosts.Host{h}, Many{Fanout: 1}, func(ctx context.Context, client *console.Client) (console.EraseResult, error) {
		if req.Parts == nil {
			return client.SecureErase(ctx, req)
		}
		return client.Erase(ctx, req)
	}, func(h hosts.Host, res console.EraseResult, bad *failure) error {
		r := eraseRecord{Host: h.Name, OK: bad == nil, Parts: c.Part, Status: res.Status, Proof: string(res.Proof), TookMS: res.Took.Milliseconds()}
		if bad != nil {
			r.Error = problemOf(bad)
			return out.failed(r, false, nil)
		}
		return out.record(r, plain(h.Name), plain(what), cell{first(res.Status, "started; the machine does not tell how it ends") + " (" + string(res.Proof) + ")", toneWarn})
	})
}
