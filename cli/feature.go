package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type featureCmd struct {
	List    featureListCmd    `cmd:"" help:"Tell which features are on: redirection, KVM, the web page, recovery boot."`
	Enable  featureEnableCmd  `cmd:"" help:"Switch features on."`
	Disable featureDisableCmd `cmd:"" help:"Switch features off; sessions that use them end."`
	Set     featureSetCmd     `cmd:"" aliases:"kvm" help:"Show or change the settings of KVM: port 5900, timeouts, the first screen."`
}

// A switchRecord is the features of one machine.
type switchRecord struct {
	Host     string                 `json:"host"`
	OK       bool                   `json:"ok"`
	Features []console.FeatureState `json:"features,omitempty"`
	Error    *problem               `json:"error,omitempty"`
}

// features does something to many machines whose outcome is their features.
func (a *app) features(m Many, do func(ctx context.Context, c *console.Client) ([]console.FeatureState, error)) error {
	list, err := a.targets(m.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"ON", 28}, column{"OFF", 0})
	return eachHost(a, list, m, do, func(h hosts.Host, states []console.FeatureState, bad *failure) error {
		if bad != nil {
			return out.failed(switchRecord{Host: h.Name, Features: states, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		var on, off []string
		for _, s := range states {
			switch {
			case s.On:
				on = append(on, string(s.Feature))
			case s.Locked:
				off = append(off, string(s.Feature)+" (in MEBx)")
			case s.Has:
				off = append(off, string(s.Feature))
			}
		}
		return out.record(switchRecord{Host: h.Name, OK: true, Features: states}, plain(h.Name), cell{strings.Join(on, " "), toneGood}, cell{strings.Join(off, " "), toneFaint})
	})
}

type featureListCmd struct{ Many }

func (featureListCmd) Help() string {
	return example("outband feature list nuc1", "outband feature list @lab -o json")
}

func (c *featureListCmd) Run(a *app) error {
	return a.features(c.Many, func(ctx context.Context, client *console.Client) ([]console.FeatureState, error) {
		return client.Features(ctx)
	})
}

// FeatureNames are the arguments of commands that switch features.
type FeatureNames struct {
	Features string `arg:"" help:"Names with commas between them: listener, sol, ider, kvm, web, recovery, erase; all is every one that the machine has, but erase to switch on."`
	Many
}

func (f *FeatureNames) set(a *app, on bool) error {
	var known []string
	for _, f := range console.AllFeatures() {
		known = append(known, string(f))
	}
	var names []console.Feature
	for word := range strings.SplitSeq(f.Features, ",") {
		name := console.Feature(strings.ToLower(strings.TrimSpace(word)))
		if name != "all" && !slices.Contains(console.AllFeatures(), name) {
			return usage("features are "+strings.Join(known, ", "), "no feature is called %q", word)
		}
		names = append(names, name)
	}
	return a.features(f.Many, func(ctx context.Context, client *console.Client) ([]console.FeatureState, error) {
		these := names
		if slices.Contains(names, "all") {
			now, err := client.Features(ctx)
			if err != nil {
				return nil, err
			}
			these = slices.DeleteFunc(slices.Clone(names), func(f console.Feature) bool { return f == "all" })
			for _, s := range now {
				if s.Has && !(on && (s.Locked || s.Feature == console.FeatureErase)) && !slices.Contains(these, s.Feature) {
					these = append(these, s.Feature)
				}
			}
		}
		return client.SetFeatures(ctx, on, these...)
	})
}

type (
	featureEnableCmd  struct{ FeatureNames }
	featureDisableCmd struct{ FeatureNames }
)

func (featureEnableCmd) Help() string {
	return "Erasing from afar is never switched on by all: name it.\n\n" +
		example("outband feature enable sol,listener nuc1", "outband feature enable all @lab", "outband feature enable recovery,erase nuc1")
}
func (featureDisableCmd) Help() string { return example("outband feature disable kvm,web nuc1") }

func (c *featureEnableCmd) Run(a *app) error  { return c.set(a, true) }
func (c *featureDisableCmd) Run(a *app) error { return c.set(a, false) }

type featureSetCmd struct {
	Many
	VNCPort         *bool   `name:"vnc-port" negatable:"" help:"Open port 5900 for VNC viewers (gone with release 16.1); it has a password of its own."`
	VNCPasswordFile string  `name:"vnc-password-file" placeholder:"FILE" help:"First line of FILE is the password of port 5900, exactly 8 characters; default is AMT_VNC_PASSWORD, or to ask."`
	SessionTimeout  *uint16 `placeholder:"MINUTES" help:"End idle sessions after that time; 0: never."`
	ConsentTimeout  *uint16 `placeholder:"SECONDS" help:"Time for entering the consent code."`
	Screen          *uint8  `placeholder:"N" help:"Screen that is shown first, from 0."`
}

func (featureSetCmd) Help() string {
	return "Without flags the settings are shown.\n\n" + example("outband feature set nuc1", "outband feature set nuc1 --session-timeout 10 --screen 1",
		"outband feature set nuc1 --vnc-port --vnc-password-file pw")
}

// change makes the change out of the flags, and finds the password that goes with them.
func (c *featureSetCmd) change(a *app) (console.KVMSettings, error) {
	s := console.KVMSettings{VNCPort: c.VNCPort, SessionTimeout: c.SessionTimeout, ConsentTimeout: c.ConsentTimeout, Screen: c.Screen}
	if c.VNCPasswordFile == "" && (c.VNCPort == nil || !*c.VNCPort) {
		return s, nil
	}
	var err error
	s.Password, err = a.secret(c.VNCPasswordFile, "--vnc-password-file", "AMT_VNC_PASSWORD", "Password of port 5900")
	return s, err
}

// A kvmSettingsRecord is the settings of KVM of one machine.
type kvmSettingsRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	console.KVMSettings
	Error *problem `json:"error,omitempty"`
}

func (c *featureSetCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	change, err := c.change(a)
	if err != nil {
		return err
	}
	out := a.printer()
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.KVMSettings, error) {
		if change == (console.KVMSettings{}) {
			return client.KVMSettings(ctx)
		}
		return client.SetKVMSettings(ctx, change)
	}, func(h hosts.Host, s console.KVMSettings, bad *failure) error {
		if bad != nil {
			return out.failed(kvmSettingsRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		return out.object(kvmSettingsRecord{Host: h.Name, OK: true, KVMSettings: s}, h.Name,
			[2]string{"port 5900", pointed(s.VNCPort, "open", "closed")}, [2]string{"session timeout", told(s.SessionTimeout, " min")},
			[2]string{"consent timeout", told(s.ConsentTimeout, " s")}, [2]string{"default screen", told(s.Screen, "")})
	})
}

// pointed is a word for a switch, "" if it is not told.
func pointed(b *bool, yes, no string) string {
	switch {
	case b == nil:
		return ""
	case *b:
		return yes
	}
	return no
}

// told is a number for people, "" if it is not told.
func told[T uint8 | uint16](n *T, unit string) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf("%d%s", *n, unit)
}
