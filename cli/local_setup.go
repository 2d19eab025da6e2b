package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/outband/outband/console/hosts"
	"github.com/outband/outband/host/agent"
	"github.com/outband/outband/wire/amthi"
)

// SetupCertificate is where a setup certificate comes from. --cert and --key of other commands name it too.
type SetupCertificate struct {
	SetupCert string `placeholder:"FILE" help:"Setup certificate with the authorities above it, root included: PEM, or PFX (PKCS #12)."`
	SetupKey  string `placeholder:"FILE" help:"Its private key (PEM), if it is in a file of its own."`

	SetupCertPasswordFile string `placeholder:"FILE" help:"First line of FILE is the password of the PFX file; default is AMT_PFX_PASSWORD, or to ask."`
}

// maxCertificateFile is the most octets of a file with certificates.
const maxCertificateFile = 1 << 20

// read reads the certificate.
func (s *SetupCertificate) read(a *app) (*agent.Certificate, error) {
	if s.SetupCert == "" {
		return nil, usage("--setup-cert names it", "admin control mode wants a setup certificate")
	}
	text, err := readSmall(s.SetupCert)
	if err != nil {
		return nil, usage("", "--setup-cert: %w", err)
	}
	if strings.Contains(string(text), "-----BEGIN") {
		var key []byte
		if s.SetupKey != "" {
			if key, err = readSmall(s.SetupKey); err != nil {
				return nil, usage("", "--setup-key: %w", err)
			}
		}
		c, err := agent.ParsePEM(text, key)
		if err != nil {
			return nil, usage("the file must hold the key, or --setup-key name it, and all certificates up to the root", "--setup-cert %s: %w", s.SetupCert, err)
		}
		return c, nil
	}
	password, err := s.password(a)
	if err != nil {
		return nil, err
	}
	c, err := agent.ParsePFX(text, password)
	if err != nil {
		return nil, usage("", "--setup-cert %s: %w", s.SetupCert, err)
	}
	return c, nil
}

func (s *SetupCertificate) password(a *app) (string, error) {
	if s.SetupCertPasswordFile != "" {
		password, err := readPasswordFile(s.SetupCertPasswordFile)
		if err != nil {
			return "", usage("", "--setup-cert-password-file: %w", err)
		}
		return password, nil
	}
	if password := a.env("AMT_PFX_PASSWORD"); password != "" {
		return password, nil
	}
	password, ok, err := a.askPassword("Password of " + s.SetupCert)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", usage("set AMT_PFX_PASSWORD or use --setup-cert-password-file", "no password for %s", s.SetupCert)
	}
	return password, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, maxCertificateFile)
}

// A localSetupRecord is what came of changing the AMT of this PC.
type localSetupRecord struct {
	Host      string   `json:"host"`
	OK        bool     `json:"ok"`
	Was       string   `json:"was,omitempty"`
	Mode      string   `json:"control_mode,omitempty"` // now
	DryRun    bool     `json:"dry_run,omitempty"`
	Steps     []string `json:"steps"` // done; planned in a dry run
	Warnings  []string `json:"warnings,omitempty"`
	TakenBack bool     `json:"taken_back,omitempty"` // it failed, and AMT is not set up again
	Error     *problem `json:"error,omitempty"`
}

// reach brings the AMT of this PC to a goal. ask, if not nil, has the user say twice what cannot be undone.
func (b *Bus) reach(a *app, goal agent.Goal, dry bool, ask func(warnings []string) error) error {
	out := a.printer(column{"HOST", 8}, column{"WAS", 16}, column{"NOW", 16}, column{"STEPS", 0})
	r := localSetupRecord{Host: localName, DryRun: dry, Steps: []string{}}
	fail := func(err error) error {
		f := judge(localFailure(err))
		if r.TakenBack {
			f = &failure{f.code, fmt.Errorf("%w (taken back: AMT is not set up)", f.err), f.hint}
		}
		r.Error = problemOf(f)
		if err := out.failed(r, false, nil); err != nil {
			return err
		}
		return f
	}
	ag, shut, err := b.agent(a)
	if err != nil {
		return fail(err)
	}
	defer shut()
	plan, err := ag.Plan(a.ctx, goal)
	if err != nil {
		return fail(err)
	}
	r.Was, r.Mode, r.Warnings = plan.From.Mode.String(), plan.From.Mode.String(), plan.Warnings
	steps := plan.Steps
	if !dry && len(steps) > 0 {
		for _, w := range plan.Warnings {
			a.note("note: %s", w)
		}
		if ask != nil {
			if err := ask(plan.Warnings); err != nil {
				return fail(err)
			}
		}
		result, err := ag.Reach(a.ctx, goal)
		r.Mode, r.TakenBack, steps = result.Mode.String(), result.TakenBack, result.Done
		for _, s := range steps {
			r.Steps = append(r.Steps, string(s))
		}
		if err != nil {
			return fail(err)
		}
	} else {
		for _, s := range steps {
			r.Steps = append(r.Steps, string(s))
		}
	}
	r.OK = true
	text := strings.Join(r.Steps, "; ")
	switch {
	case len(r.Steps) == 0:
		text = "nothing to do"
	case dry:
		text = "would: " + text
		if r.Warnings != nil {
			text += ". " + strings.Join(r.Warnings, ". ")
		}
	}
	return out.record(r, plain(localName), plain(r.Was), cell{r.Mode, toneGood}, plain(text))
}

// localHost is the PC as the one whose name is said twice.
func localHost() hosts.Host { return hosts.Host{Name: localName} }

type localActivateCmd struct {
	Admin  bool `help:"Admin control mode, with a setup certificate; default is client control mode."`
	DryRun bool `help:"Only tell what would be done."`
	SetupCertificate
	NewPassword
	MEBxPasswordFile string `name:"mebx-password-file" placeholder:"FILE" help:"First line of FILE is the new password of the BIOS extension, which release 19 wants; default is MEBX_NEW_PASSWORD, or the same as AMT's."`
	Twice
	Bus
}

func (localActivateCmd) Help() string {
	return "In client control mode the PC is managed with the consent of whoever sits at it, and can take itself out again. Admin control mode has no such " +
		"limits; it wants a certificate that was bought for the setup of AMT, in the DNS domain of the PC, and is left only with the password. " +
		"The password is that of admin from then on: AMT_NEW_PASSWORD, --new-password-file, or asked for. What fails on the way is taken back; what was " +
		"interrupted can be begun again. For admin control mode the PC is named twice: at a prompt, or by --yes local.\n\n" +
		example("sudo outband local activate", "sudo outband local activate --dry-run",
			"sudo outband local activate --admin --setup-cert setup.pfx --yes local", "outband local activate --bus unix:me.sock")
}

func (c *localActivateCmd) Run(a *app) error {
	goal := agent.Goal{Mode: amthi.ClientControl}
	var err error
	if c.Admin {
		goal.Mode = amthi.AdminControl
		if goal.Certificate, err = c.SetupCertificate.read(a); err != nil {
			return err
		}
		goal.MEBxPassword = a.env("MEBX_NEW_PASSWORD")
		if c.MEBxPasswordFile != "" {
			if goal.MEBxPassword, err = readPasswordFile(c.MEBxPasswordFile); err != nil {
				return usage("", "--mebx-password-file: %w", err)
			}
		}
	}
	if goal.Password, err = c.NewPassword.read(a, "AMT"); err != nil {
		return err
	}
	var ask func([]string) error
	if c.Admin {
		ask = func([]string) error { return c.Twice.check(a, localHost(), "set AMT up in admin control mode") }
	}
	return c.Bus.reach(a, goal, c.DryRun, ask)
}

type localUpgradeCmd struct {
	DryRun bool `help:"Only tell what would be done."`
	SetupCertificate
	Twice
	Bus
}

func (localUpgradeCmd) Help() string {
	return "Goes from client to admin control mode with a setup certificate. Password and settings stay. The password of admin is needed: AMT_PASSWORD, " +
		"--password-file, or asked for. The PC is named twice: at a prompt, or by --yes local.\n\n" +
		example("sudo outband local upgrade --setup-cert setup.pfx", "sudo outband local upgrade --setup-cert setup.pem --yes local")
}

func (c *localUpgradeCmd) Run(a *app) error {
	certificate, err := c.SetupCertificate.read(a)
	if err != nil {
		return err
	}
	password, err := a.passwordOf(a.ctx, localHost())
	if err != nil {
		return err
	}
	return c.Bus.reach(a, agent.Goal{Mode: amthi.AdminControl, Password: password, Certificate: certificate}, c.DryRun,
		func([]string) error { return c.Twice.check(a, localHost(), "go to admin control mode") })
}

type localDeactivateCmd struct {
	DryRun bool `help:"Only tell what would be done."`
	Twice
	Bus
}

func (localDeactivateCmd) Help() string {
	return "AMT forgets accounts, certificates and settings, and closes its network ports. Out of client control mode the PC's word is enough; out of admin " +
		"control mode the password of admin is needed: AMT_PASSWORD, --password-file, or asked for. A setup that was begun and not ended is stopped. The PC is " +
		"named twice: at a prompt, or by --yes local.\n\n" +
		example("sudo outband local deactivate", "sudo outband local deactivate --yes local")
}

func (c *localDeactivateCmd) Run(a *app) error {
	password, err := a.givenPassword()
	if err != nil {
		return err
	}
	if password == "" && a.interactive() {
		if password, err = c.password(a); err != nil {
			return err
		}
	}
	return c.Bus.reach(a, agent.Goal{Password: password}, c.DryRun, func([]string) error { return c.Twice.check(a, localHost(), "unprovision the AMT of this PC") })
}

// password asks for the password if it will be needed.
func (c *localDeactivateCmd) password(a *app) (string, error) {
	ag, shut, err := c.Bus.agent(a)
	if err != nil {
		return "", localFailure(err)
	}
	info, err := ag.Info(a.ctx)
	shut()
	if err != nil {
		return "", localFailure(err)
	}
	if info.Mode != amthi.AdminControl {
		return "", nil
	}
	return a.passwordOf(a.ctx, localHost())
}
