package cli

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"github.com/outband/outband/console"
)

// BootFlags are what else can be special about one boot.
type BootFlags struct {
	Lock           []string `placeholder:"WHAT" help:"Lock power, reset, sleep (the buttons), keyboard, or all, until the next boot."`
	Verbosity      string   `placeholder:"HOW" help:"What the BIOS shows: quiet, verbose, or blank (nothing)."`
	ProgressEvents bool     `help:"Log all progress of the BIOS."`
	Pause          bool     `help:"Wait for a key before starting."`
	BypassPassword bool     `help:"Do not ask for the user password of the BIOS."`
	SecureBoot     string   `placeholder:"on|off" help:"Enforce secure boot for a redirected or recovery boot, or do not."`
	Reflash        bool     `help:"Have the BIOS written anew."`
	ResetBIOS      bool     `name:"reset-bios" help:"Reset the settings of the BIOS."`
}

// options reads the flags.
func (f *BootFlags) options() (o console.BootOptions, err error) {
	o = console.BootOptions{Pause: f.Pause, Reflash: f.Reflash, ResetBIOS: f.ResetBIOS, BypassPassword: f.BypassPassword,
		ProgressEvents: f.ProgressEvents, Verbosity: console.Verbosity(strings.ToLower(f.Verbosity))}
	if err := o.ParseLocks(f.Lock); err != nil {
		return o, err
	}
	switch o.Verbosity {
	case console.VerbosityDefault, console.VerbosityQuiet, console.VerbosityVerbose, console.VerbosityBlank:
	default:
		return o, usage("", "--verbosity: %q is none of quiet, verbose, blank", f.Verbosity)
	}
	switch f.SecureBoot {
	case "":
	case "on", "off":
		o.SecureBoot = new(f.SecureBoot == "on")
	default:
		return o, usage("", "--secure-boot: %q is neither on nor off", f.SecureBoot)
	}
	return o, nil
}

// HTTPSFlags are how an image is fetched.
type HTTPSFlags struct {
	HTTPUser         string        `name:"http-user" placeholder:"NAME" help:"User name for the server of the image."`
	HTTPPasswordFile string        `name:"http-password-file" placeholder:"FILE" help:"First line of FILE is the password for it; default is AMT_HTTP_PASSWORD, or to ask."`
	NoSyncRoots      bool          `help:"Do not hand the machine's trusted roots to the BIOS, which has its own then."`
	ServerName       string        `placeholder:"NAME" help:"The server's certificate must bear that name."`
	ServerHash       string        `placeholder:"HEX" help:"SHA-256, -384 or -512 of the server's certificate."`
	ImageHash        string        `placeholder:"HEX" help:"SHA-256, -384 or -512 of the image."`
	HTTPTimeout      time.Duration `name:"http-timeout" placeholder:"TIME" help:"How long the BIOS waits for the server; default as it has it."`
}

// fill puts them into a request.
func (f *HTTPSFlags) fill(a *app, req *console.BootRequest) error {
	req.Recovery = console.RecoveryOptions{KeepRoots: f.NoSyncRoots, ServerName: f.ServerName, Timeout: f.HTTPTimeout}
	var err error
	if req.Recovery.ServerHash, err = hex.DecodeString(f.ServerHash); err != nil {
		return usage("", "--server-hash is not hex")
	}
	if req.Recovery.ImageHash, err = hex.DecodeString(f.ImageHash); err != nil {
		return usage("", "--image-hash is not hex")
	}
	if f.HTTPUser == "" {
		return nil
	}
	req.User = f.HTTPUser
	req.Password, err = a.secret(f.HTTPPasswordFile, "--http-password-file", "AMT_HTTP_PASSWORD", "Password of "+f.HTTPUser+" at the server of the image")
	return err
}

// secret finds a secret: in a file, the environment, or by asking. No secret is a mistake.
func (a *app) secret(file, flag, variable, question string) (string, error) {
	if file != "" {
		text, err := readPasswordFile(file)
		if err != nil {
			return "", usage("", "%s: %w", flag, err)
		}
		return text, nil
	}
	if text := a.env(variable); text != "" {
		return text, nil
	}
	text, ok, err := a.askPassword(question)
	if err == nil && !ok {
		err = &failure{exitUsage, errors.New(strings.ToLower(question[:1]) + question[1:] + " is missing"), "set " + variable + " or use " + flag}
	}
	return text, err
}

type (
	bootIDERCmd struct {
		BootChoice
		Floppy bool `help:"The floppy, not the CD."`
	}
	bootWinRECmd struct {
		BootChoice
		Option int `placeholder:"N" help:"Which option of the BIOS, as outband boot settings numbers them; default the first that fits."`
	}
	bootPBACmd struct {
		BootChoice
		Option int `placeholder:"N" help:"Which option of the BIOS, as outband boot settings numbers them; default the first that fits."`
	}
	bootCustomCmd struct{ BootChoice }
)

func (bootIDERCmd) Help() string {
	return "The session that serves the image must be open before the machine starts, and stay open; a warning tells if there is none.\n\n" +
		example("outband boot ider nuc1 --now", "outband boot ider nuc1 --floppy --secure-boot off")
}

func (bootWinRECmd) Help() string { return example("outband boot winre nuc1 --now") }
func (bootPBACmd) Help() string   { return example("outband boot pba nuc1 --option 2 --now") }
func (bootCustomCmd) Help() string {
	return "What the BIOS cannot do is refused before anything is changed; outband boot settings shows what it can.\n\n" +
		example("outband boot custom nuc1 --lock keyboard --progress-events --now", "outband boot custom nuc1 --pause --sol --now")
}

func (c *bootIDERCmd) Run(a *app) error {
	req := console.BootRequest{Device: console.BootIDERCD}
	if c.Floppy {
		req.Device = console.BootIDERFloppy
	}
	return c.do(a, req)
}

func (c *bootWinRECmd) Run(a *app) error {
	return recovery(a, &c.BootChoice, console.BootWinRE, c.Option)
}
func (c *bootPBACmd) Run(a *app) error { return recovery(a, &c.BootChoice, console.BootPBA, c.Option) }

func recovery(a *app, c *BootChoice, device console.BootDevice, option int) error {
	if option < 0 || option > 10 {
		return usage("", "--option: %d is not in 1..10", option)
	}
	return c.do(a, console.BootRequest{Device: device, Recovery: console.RecoveryOptions{Number: option}})
}

func (c *bootCustomCmd) Run(a *app) error {
	o, err := c.BootFlags.options()
	if err != nil {
		return err
	}
	if o == (console.BootOptions{}) && !c.SOL {
		return usage("outband boot custom --help lists them", "no option named")
	}
	return c.do(a, console.BootRequest{Device: console.BootAsSetUp})
}
