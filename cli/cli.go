// Package cli is the program outband: what a user types, sees and gets as exit code. One file per group of commands;
// a command is a struct whose fields are its flags and arguments and whose Run does the work. To add one, write the
// struct with Run and Help (which shows an example), and name it in [commands].
//
// Results go to stdout, talk to stderr: a failure is one line "outband: ..." and, where something can be done about
// it, one line "hint: ...". The exit code says what happened; see errors.go. A password is never an argument.
//
// Called by another name (amttool, amtterm, amtider, wsman, fence_amt_ws, fence_outband) the program keeps that program's contract; the
// file of that name holds it.
//
// This package is not a library: import console, class and wire instead.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"

	"github.com/alecthomas/kong"
)

// Version is the version of the program; the linker sets it.
var Version = "devel"

// Main runs the program and returns its exit code. args[0] is the name it was called by. It ends early, but in good
// order, on SIGINT and SIGTERM; a second signal kills.
func Main(args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)()
	return Run(ctx, args, env, stdin, stdout, stderr)
}

// Run is [Main] without signals: the program ends early when ctx does.
func Run(ctx context.Context, args []string, env func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, env: env, in: stdin, out: stdout, err: stderr, name: "outband"}
	if _, ok := stderr.(*os.File); !ok {
		a.err = &oneAtATime{w: stderr}
	}
	defer a.session.close()
	if len(args) == 0 {
		args = []string{a.name}
	}
	name := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	switch name {
	case "amttool":
		a.name = name
		return amttool(a, args[1:])
	case "amtterm":
		a.name = name
		return amttermMain(a, args[1:])
	case "amtider":
		a.name = name
		return amtiderMain(a, args[1:])
	case "wsman":
		a.name = name
		return wsmancli(a, args[1:])
	case "fence_amt_ws", "fence_outband":
		a.name = name
		return fenceAgent(a, name, args[1:])
	}
	return a.report(a.run(args[1:]))
}

// An app is one run of the program: what it was given and where it writes.
type app struct {
	ctx  context.Context
	env  func(string) string
	in   io.Reader
	out  io.Writer
	err  io.Writer
	name string // how messages begin

	Globals
	session session
}

// oneAtATime lets many goroutines talk, as a file does.
type oneAtATime struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *oneAtATime) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(b)
}

// run parses the arguments and runs the command they name.
func (a *app) run(args []string) error {
	if len(args) == 0 {
		args = []string{"--help"}
	}
	ctx, globals, err := a.parse(args)
	if errors.Is(err, errHelp) {
		return nil
	}
	a.Globals = globals
	if err != nil {
		a.Output = wantedForm(args) // the parser has not come to it
		var parse *kong.ParseError
		known := errors.As(err, &parse) && parse.Context != nil
		if flag, _, ok := strings.Cut(err.Error(), `: expected string value but got "EOL"`); ok { // the words of the parser
			err = fmt.Errorf("%s wants a value", flag)
		}
		if known {
			return &failure{exitUsage, err, fmt.Sprintf("%s --help shows how", commandPath(parse.Context))}
		}
		return &failure{exitUsage, err, ""}
	}
	if err := a.Globals.check(); err != nil {
		return err
	}
	return ctx.Run(a)
}

// wantedForm finds the form of the results in a command line that cannot be parsed.
func wantedForm(args []string) string {
	for i, word := range args {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		for _, form := range []string{"json", "yaml"} {
			switch word {
			case "-o" + form, "-o=" + form, "--output=" + form:
				return form
			case "-o", "--output":
				if next == form {
					return form
				}
			}
		}
	}
	return "table"
}

// parse parses the arguments. To describe all commands to the parser takes longer than most of them run, so it is tried
// first with the one that seems to be meant.
func (a *app) parse(args []string) (*kong.Context, Globals, error) {
	if one := newOneCommand(args); one != nil {
		parser, err := kong.New(&one.root, append(parserOptions(a), one.option)...)
		if err != nil {
			return nil, Globals{}, err
		}
		ctx, err := parser.Parse(args)
		if err == nil || errors.Is(err, errHelp) {
			return ctx, one.root.Globals, err
		}
	}
	root := &commands{}
	parser, err := newParser(a, root)
	if err != nil {
		return nil, Globals{}, err
	}
	ctx, err := parser.Parse(args)
	return ctx, root.Globals, err
}

// A oneCommand is the command line with a single command of [commands].
type oneCommand struct {
	root struct {
		Globals
		Help helpFlag `short:"h" help:"Show what a command does, its flags and an example."`
	}
	option kong.Option
}

// newOneCommand finds the command that is meant: the first word that is the name of one. It may be wrong, if the word is
// the value of a flag; the parser will say so. nil: none.
func newOneCommand(args []string) *oneCommand {
	all := reflect.ValueOf(&commands{}).Elem()
	for _, word := range args {
		for i := range all.NumField() {
			field := all.Type().Field(i)
			if _, isCommand := field.Tag.Lookup("cmd"); isCommand && commandName(field) == word {
				return &oneCommand{option: kong.DynamicCommand(word, field.Tag.Get("help"), "", all.Field(i).Addr().Interface(), string(field.Tag))}
			}
		}
	}
	return nil
}

// commandName is the name of a command of [commands].
func commandName(field reflect.StructField) string {
	return first(field.Tag.Get("name"), strings.ToLower(field.Name))
}

func newParser(a *app, root *commands) (*kong.Kong, error) {
	return kong.New(root, parserOptions(a)...)
}

func parserOptions(a *app) []kong.Option {
	return []kong.Option{
		kong.Name("outband"),
		kong.Description("Manages Intel AMT machines from afar: power, boot, inventory, fencing; and has virtual ones to try it on."),
		kong.Writers(a.out, a.err),
		kong.Exit(func(int) {}),
		kong.NoDefaultHelp(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 100}),
		kong.Vars{"version": Version},
	}
}

// commandPath is as much of the command as was understood: "outband power on".
func commandPath(ctx *kong.Context) string {
	path := []string{ctx.Model.Name}
	for _, p := range ctx.Path {
		if p.Command != nil {
			path = append(path, p.Command.Name)
		}
	}
	return strings.Join(path, " ")
}

// errHelp ends parsing after help was printed.
var errHelp = errors.New("help was shown")

type helpFlag bool

// BeforeReset prints the help of the command that stands before the flag.
func (helpFlag) BeforeReset(ctx *kong.Context) error {
	if err := ctx.PrintUsage(false); err != nil {
		return err
	}
	return errHelp
}

// commands is the whole command line.
type commands struct {
	Globals
	Help helpFlag `short:"h" help:"Show what a command does, its flags and an example."`

	Host        hostCmd        `cmd:"" like:"Computer list;Switches" help:"Keep a list of machines, with how to reach and to trust them."`
	Info        infoCmd        `cmd:"" like:"System status;Switches" help:"Tell what a machine is: model, AMT version, mode, state."`
	Power       powerCmd       `cmd:"" like:"Power dialog;AmtPower" help:"Read and change the power state of one or many machines."`
	Boot        bootCmd        `cmd:"" like:"Power dialog;AmtPower" help:"Choose what a machine boots next, once."`
	Hardware    hardwareCmd    `cmd:"" like:"Hardware information" help:"List processors, memory, disks and the other hardware of a machine."`
	Software    softwareCmd    `cmd:"" like:"System status" help:"List the modules of AMT's firmware and their versions."`
	Feature     featureCmd     `cmd:"" like:"System status;AmtFeatures" help:"Switch redirection, KVM, the web page and recovery boot on and off."`
	Consent     consentCmd     `cmd:"" like:"System status" help:"Ask the person in front of a machine for consent, and say when that is needed."`
	PowerPolicy powerPolicyCmd `cmd:"" like:"System status" name:"powerpolicy" help:"Say in which states of the PC its management engine stays on."`
	State       stateCmd       `cmd:"" like:"System status" help:"Save the whole configuration of a machine to a file, compare, and make machines what a file says."`
	User        userCmd        `cmd:"" like:"User accounts" help:"List, add and change the accounts of a machine."`
	Event       eventCmd       `cmd:"" like:"Event log;AmtEventLog" help:"Read, watch, export and clear the event log of a machine."`
	Audit       auditCmd       `cmd:"" like:"Audit log;AmtAuditLog" help:"Read, export, verify and clear the audit log, and choose what is logged."`
	Alert       alertCmd       `cmd:"" like:"Subscriptions" help:"Have a machine tell of its events as they happen, and receive them."`
	Presence    presenceCmd    `cmd:"" like:"Agent presence" help:"Have AMT watch programs of a machine: watchdogs, actions, heartbeats."`
	Defense     defenseCmd     `cmd:"" like:"System defense" help:"Filter the network of a machine below its operating system, or cut it off (System Defense)."`
	Alarm       alarmCmd       `cmd:"" like:"Wake alarms;AmtWake" help:"List, set and remove the times at which a machine switches itself on."`
	Storage     storageCmd     `cmd:"" like:"Storage" help:"List, store and delete small files in AMT's web server."`
	Web         webCmd         `cmd:"" like:"Storage" help:"Show and replace AMT's web pages."`
	Time        timeCmd        `cmd:"" like:"System status" help:"Show and set AMT's clock."`
	TLS         tlsCmd         `cmd:"" like:"Security settings" name:"tls" help:"Switch TLS and client certificates on and off."`
	PKI         pkiCmd         `cmd:"" like:"Security settings;Certificate manager" name:"pki" help:"Manage certificates, trusted roots and keys of a machine."`
	Erase       eraseCmd       `cmd:"" like:"Power dialog;AmtRPE" help:"Erase what is on a machine for good: disks, TPM, BIOS settings, AMT itself."`
	Unprovision unprovisionCmd `cmd:"" like:"System status;AmtDeactivate;AmtAcmDeactivate" name:"unprovision" help:"Take a machine out of management."`
	SOL         solCmd         `cmd:"" like:"Serial-over-LAN;AmtTerm;Switches" name:"sol" help:"Open the serial console of a machine (Serial-over-LAN)."`
	IDER        iderCmd        `cmd:"" like:"IDE-R dialog;AmtIDER" name:"ider" help:"Show disk images to a machine as a CD and a floppy (IDE-R)."`
	KVM         kvmCmd         `cmd:"" like:"Remote desktop;Switches" name:"kvm" help:"Show screen, keyboard and mouse of a machine to VNC viewers."`
	Screenshot  screenshotCmd  `cmd:"" like:"Remote desktop" help:"Take a picture of a machine's screen."`
	Play        playCmd        `cmd:"" like:"Session player" help:"Play a recording of a screen or of a serial line."`
	Screen      screenCmd      `cmd:"" like:"Remote desktop" help:"Show which monitors a machine has, switch between them, and darken them."`
	Discover    discoverCmd    `cmd:"" like:"Computer list;AmtScan" help:"Find machines with AMT in a network."`
	Setup       setupCmd       `cmd:"" like:"System status" help:"Tell how a machine was set up, and change the password of its BIOS extension."`
	Setupbin    setupbinCmd    `cmd:"" like:"Setup.bin manager" name:"setupbin" help:"Make and check Setup.bin files and USB keys, with which a BIOS sets AMT up."`
	Route       routeCmd       `cmd:"" like:"Route" help:"Bring a port of a machine to a local port."`
	Doctor      doctorCmd      `cmd:"" like:"System status" help:"Check what keeps a machine from being managed, and say what to do."`
	Network     networkCmd     `cmd:"" like:"Network settings;AmtNetwork;AmtDDNS" help:"Show and change how AMT is in the network: address, names, link, pings."`
	WiFi        wifiCmd        `cmd:"" like:"Network settings;AmtWifi" name:"wifi" help:"Manage the wireless networks that AMT may join."`
	Wired8021x  wired8021xCmd  `cmd:"" like:"Network settings" name:"wired8021x" help:"Manage how AMT signs in to a wired network with 802.1X."`
	CIRA        ciraCmd        `cmd:"" like:"Internet settings" name:"cira" help:"Have machines call home: presence servers, when to call them, and what is not home."`
	Kerberos    kerberosCmd    `cmd:"" like:"Security settings" help:"Let users of a Windows domain log in to AMT."`
	Dump        dumpCmd        `cmd:"" help:"Write everything a machine tells about itself to a file."`
	WSMan       wsmanCmd       `cmd:"" like:"WSMAN browser;Switches" name:"wsman" passthrough:"" help:"Speak WS-Management yourself: get, put, invoke, enumerate ..."`
	Fence       fenceCmd       `cmd:"" passthrough:"" help:"Be a fence agent for Pacemaker and other cluster software."`
	LMS         lmsCmd         `cmd:"" like:"MicroLMS" name:"lms" help:"On the managed PC: let its programs reach its own AMT at localhost."`
	Watchdog    watchdogCmd    `cmd:"" help:"On the managed PC: tell AMT that the operating system runs."`
	Agent       agentCmd       `cmd:"" help:"On the managed PC: all its services for AMT in one."`
	Local       localCmd       `cmd:"" help:"See to the AMT of this PC: what it is, set it up, take it out of management."`
	Virtual     virtualGroup   `cmd:"" help:"Run virtual AMT machines."`
	Replay      replayCmd      `cmd:"" help:"Send the frames of a packet capture through the network port of a virtual machine."`
	Demo        demoCmd        `cmd:"" help:"Take a short tour with three virtual machines."`
	Completion  completionCmd  `cmd:"" help:"Print the completion script of a shell."`
	Complete    completeCmd    `cmd:"" name:"__complete" passthrough:"" hidden:""`
	Manual      manualCmd      `cmd:"" name:"__manual" hidden:""`
	Version     versionCmd     `cmd:"" help:"Print the version."`
}

type versionCmd struct{}

func (versionCmd) Help() string { return example("outband version") }

func (versionCmd) Run(a *app) error {
	return a.printer(column{"VERSION", 0}).record(map[string]string{"version": Version}, plain(Version))
}

// example lays example command lines out for a help text.
func example(lines ...string) string {
	head := "Example:"
	if len(lines) > 1 {
		head = "Examples:"
	}
	return head + "\n\n  " + strings.Join(lines, "\n  ")
}
