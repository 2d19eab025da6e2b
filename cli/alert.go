package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/outband/outband/console"
	"github.com/outband/outband/console/hosts"
)

type alertCmd struct {
	List      alertListCmd      `cmd:"" help:"List who is told of a machine's events."`
	Subscribe alertSubscribeCmd `cmd:"" help:"Have a machine tell an address of its events, as they happen."`
	Renew     alertRenewCmd     `cmd:"" help:"Have a subscription with an end go on."`
	Remove    alertRemoveCmd    `cmd:"" aliases:"unsubscribe" help:"Tell an address of events no more."`
	Listen    alertListenCmd    `cmd:"" help:"Receive events and print them."`
}

// alertPort is where alert listen waits for events, if nothing else is said.
const alertPort = 16990

// A subscriptionRecord is one receiver of the events of one machine.
type subscriptionRecord struct {
	Host    string   `json:"host"`
	OK      bool     `json:"ok"`
	ID      string   `json:"id,omitempty"`
	Kind    string   `json:"kind,omitempty"` // ws-eventing, snmp
	To      string   `json:"to,omitempty"`
	Events  string   `json:"events,omitempty"` // All, Features, Platform, User
	Ack     *bool    `json:"acknowledged,omitempty"`
	Policy  uint8    `json:"policy,omitempty"` // of traps
	Expires string   `json:"expires_in,omitempty"`
	State   string   `json:"state,omitempty"` // subscribed, removed, renewed
	Count   *int     `json:"count,omitempty"` // of those removed
	Error   *problem `json:"error,omitempty"`
}

func newSubscriptionRecord(host string, s console.Subscription) subscriptionRecord {
	r := subscriptionRecord{Host: host, OK: true, ID: s.ID, Kind: "ws-eventing", To: s.To, Events: s.Filter, Ack: &s.Ack, Policy: s.Policy}
	if s.Trap {
		r.Kind, r.Ack, r.Events = "snmp", nil, "by filter"
	}
	if s.Expires > 0 {
		r.Expires = s.Expires.String()
	}
	return r
}

func subscriptionColumns(list []hosts.Host) []column {
	return []column{hostColumn(list), {"ID", 12}, {"KIND", 11}, {"EVENTS", 9}, {"DELIVERY", 12}, {"TO", 0}}
}

func (r *subscriptionRecord) cells() []cell {
	delivery := "sent once"
	if r.Ack != nil && *r.Ack {
		delivery = "acknowledged"
	}
	return []cell{plain(r.Host), plain(r.ID), plain(r.Kind), plain(r.Events), plain(delivery), plain(r.To)}
}

type alertListCmd struct{ Many }

func (alertListCmd) Help() string {
	return example("outband alert list nuc1", "outband alert list @lab -o json")
}

func (c *alertListCmd) Run(a *app) error {
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	out := a.printer(subscriptionColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Subscription, error) {
		return client.Subscriptions(ctx)
	}, func(h hosts.Host, all []console.Subscription, bad *failure) error {
		if bad != nil {
			return out.failed(subscriptionRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		if len(all) == 0 {
			a.note("%s: nobody is told of its events", h.Name)
		}
		for _, s := range all {
			r := newSubscriptionRecord(h.Name, s)
			if err := out.record(r, r.cells()...); err != nil {
				return err
			}
		}
		return nil
	})
}

// Receiver is the account that a receiver asks machines for.
type Receiver struct {
	ReceiverUser         string `placeholder:"NAME" help:"Name that the receiver asks for (HTTP digest)."`
	ReceiverPasswordFile string `placeholder:"FILE" help:"First line of FILE is the password that goes with it; default is AMT_RECEIVER_PASSWORD, or to ask."`
}

// password finds the receiver's password; "" without a name.
func (r *Receiver) password(a *app) (string, error) {
	switch {
	case r.ReceiverUser == "" && r.ReceiverPasswordFile != "":
		return "", usage("", "--receiver-password-file goes with --receiver-user")
	case r.ReceiverUser == "":
		return "", nil
	case r.ReceiverPasswordFile != "":
		password, err := readPasswordFile(r.ReceiverPasswordFile)
		if err != nil {
			return "", usage("", "--receiver-password-file: %w", err)
		}
		return password, nil
	}
	if password := a.env("AMT_RECEIVER_PASSWORD"); password != "" {
		return password, nil
	}
	password, ok, err := a.askPassword("Password of receiver " + r.ReceiverUser)
	if err == nil && !ok {
		err = usage("set AMT_RECEIVER_PASSWORD or use --receiver-password-file", "no password for receiver %s", r.ReceiverUser)
	}
	return password, err
}

type alertSubscribeCmd struct {
	Many
	To      string        `placeholder:"URL" help:"Where events go: an http or, from release 11 on, https address; default is outband alert listen on this computer."`
	Events  string        `default:"All" placeholder:"GROUP" help:"Which: All, Features (of AMT), Platform (of the PC) or User; default All."`
	NoAck   bool          `help:"Do not have events acknowledged and sent again."`
	Expires time.Duration `placeholder:"TIME" help:"End by itself after that time; default is never. Not all firmware heeds it."`
	Receiver

	Traps         bool   `help:"SNMP traps instead, to UDP port 162; until release 17."`
	TrapTo        string `placeholder:"ADDRESS" help:"IP address for traps; default is this computer's."`
	CommunityFile string `placeholder:"FILE" help:"First line of FILE is the SNMP community; default is AMT_COMMUNITY, or the machine's own."`
}

func (alertSubscribeCmd) Help() string {
	return "Machines send events to the address, wherever this program is then; outband alert listen receives them. One subscription for the same " +
		"address and events is replaced.\n\n" +
		example("outband alert subscribe nuc1 --to http://192.0.2.9:16990/", "outband alert subscribe @lab --events Platform --receiver-user sink",
			"outband alert subscribe nuc1 --traps --trap-to 192.0.2.9")
}

func (c *alertSubscribeCmd) Run(a *app) error {
	if c.TrapTo != "" && !c.Traps || c.Traps && c.To != "" {
		return usage("", "--trap-to goes with --traps, and --to without")
	}
	list, err := a.targets(c.Hosts)
	if err != nil {
		return err
	}
	want := console.Subscribe{To: c.To, Filter: c.Events, NoAck: c.NoAck, Username: c.ReceiverUser, Expires: c.Expires}
	if want.Password, err = c.Receiver.password(a); err != nil {
		return err
	}
	community := a.env("AMT_COMMUNITY")
	if c.CommunityFile != "" {
		if community, err = readPasswordFile(c.CommunityFile); err != nil {
			return usage("", "--community-file: %w", err)
		}
	}
	out := a.printer(subscriptionColumns(list)...)
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) (console.Subscription, error) {
		want, to := want, c.TrapTo
		if want.To == "" && to == "" {
			own, err := client.OwnAddress(ctx)
			if err != nil {
				return console.Subscription{}, err
			}
			to, want.To = own.String(), fmt.Sprintf("http://%s/", netip.AddrPortFrom(own, alertPort))
		}
		if c.Traps {
			return client.SubscribeTraps(ctx, to, community)
		}
		return client.Subscribe(ctx, want)
	}, func(h hosts.Host, s console.Subscription, bad *failure) error {
		if bad != nil {
			return out.failed(subscriptionRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := newSubscriptionRecord(h.Name, s)
		r.State = "subscribed"
		return out.record(r, r.cells()...)
	})
}

type alertRenewCmd struct {
	Host string        `arg:"" help:"Name or address."`
	ID   string        `arg:"" help:"What alert list shows, or the address that events go to."`
	For  time.Duration `default:"24h" placeholder:"TIME" help:"How much longer, from now on; default 24h."`
}

func (alertRenewCmd) Help() string {
	return example("outband alert renew nuc1 'Listener 1' --for 48h")
}

func (c *alertRenewCmd) Run(a *app) error {
	list, err := a.targets([]string{c.Host})
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"SUBSCRIPTION", 0})
	return eachHost(a, list, Many{Fanout: 8}, func(ctx context.Context, client *console.Client) (struct{}, error) {
		return struct{}{}, client.RenewSubscription(ctx, c.ID, c.For)
	}, func(h hosts.Host, _ struct{}, bad *failure) error {
		if bad != nil {
			return out.failed(subscriptionRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		r := subscriptionRecord{Host: h.Name, OK: true, ID: c.ID, State: "renewed", Expires: c.For.String()}
		return out.record(r, plain(h.Name), plain("renewed for "+c.For.String()))
	})
}

type alertRemoveCmd struct {
	Many
	ID  string `name:"id" placeholder:"ID" help:"What alert list shows, or the address that events go to."`
	All bool   `help:"All of them."`
	Yes bool   `short:"y" help:"Do not ask before removing from several machines."`
}

func (alertRemoveCmd) Help() string {
	return example("outband alert remove nuc1 --id 'Listener 1'", "outband alert remove @lab --id http://192.0.2.9:16990/", "outband alert remove nuc1 --all")
}

func (c *alertRemoveCmd) Run(a *app) error {
	if (c.ID == "") != c.All {
		return usage("outband alert list shows them", "either --id or --all")
	}
	list, err := a.targets(c.Hosts)
	if err == nil {
		err = a.sure(c.Yes, len(list), "remove subscriptions")
	}
	if err != nil {
		return err
	}
	out := a.printer(hostColumn(list), column{"REMOVED", 0})
	return eachHost(a, list, c.Many, func(ctx context.Context, client *console.Client) ([]console.Subscription, error) {
		return client.Unsubscribe(ctx, c.ID)
	}, func(h hosts.Host, gone []console.Subscription, bad *failure) error {
		if bad != nil {
			return out.failed(subscriptionRecord{Host: h.Name, Error: problemOf(bad)}, len(list) > 1, failedRow(h, bad))
		}
		var names []string
		for _, s := range gone {
			names = append(names, s.ID)
		}
		text := strings.Join(names, ", ")
		if text == "" {
			text = "none was there"
		}
		return out.record(subscriptionRecord{Host: h.Name, OK: true, ID: strings.Join(names, ","), State: "removed", Count: new(len(gone))}, plain(h.Name), plain(text))
	})
}
