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
	List    featureListCmd    `cmd:"" help:"Tell which features are on: redirection, KVM, the web page."`
	Enable  featureEnableCmd  `cmd:"" help:"Switch features on."`
	Disable featureDisableCmd `cmd:"" help:"Switch features off; sessions that use them end."`
	KVM     featureKVMCmd     `cmd:"" name:"kvm" help:"Show or change the settings of KVM."`
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
	Features string `arg:"" help:"Names with commas between them: listener, sol, ider, kvm, web; all is every one that the machine has."`
	Many
}

func (f *FeatureNames) set(a *app, on bool) error {
	var names []console.Feature
	for word := range strings.SplitSeq(f.Features, ",") {
		name := console.Feature(strings.ToLower(strings.TrimSpace(word)))
		if name != "all" && !slices.Contains(console.AllFeatures(), name) {
			return usage("features are listener, sol, ider, kvm, web", "no feature is called %q", word)
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
			these = nil
			for _, s := range now {
				if s.Has {
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
	return example("outband feature enable sol,listener nuc1", "outband feature enable all @lab")
}
func (featureDisableCmd) Help() string { return example("outband feature disable kvm,web nuc1") }

func (c *featureEnableCmd) Run(a *app) error  { return c.set(a, true) }
func (c *featureDisableCmd) Run(a *app) error { return c.set(a, false) }

type featureKVMCmd struct {
	Many
	VNCPort        *bool   `name:"vnc-port" negatable:"" help:"Open port 5900 for VNC viewers (gone with release 16.1); its password is AMT_VNC_PASSWORD."`
	SessionTimeout *uint16 `placeholder:"MINUTES" help:"End idle sessions after that time; 0: never."`
	ConsentTimeout *uint16 `placeholder:"SECONDS" help:"Time for entering the consent code."`
	Screen         *uint8  `placeholder:"N" help:"Screen that is shown first, from 0."`
}

func (featureKVMCmd) Help() string {
	return "Without flags the settings are shown.\n\n" + example("outband feature kvm nuc1", "outband feature kvm nuc1 --session-timeout 10 --screen 1",
		"AMT_VNC_PASSWORD='8 ch@rs!' outband feature kvm nuc1 --vnc-port")
}

// A kvmSettingsRecord is the settings of KVM of one machine.
type kvmSettingsRecord struct {
	Host string `json:"host"`
	OK   bool   `json:"ok"`
	console.KVMSettings
	Error *problem `json:"error,omitempty"`
}

func (c *featureKVMCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	change := console.KVMSettings{VNCPort: c.VNCPort, SessionTimeout: c.SessionTimeout, ConsentTimeout: c.ConsentTimeout, Screen: c.Screen}
	if c.VNCPort != nil && *c.VNCPort {
		change.Password = a.env("AMT_VNC_PASSWORD")
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
