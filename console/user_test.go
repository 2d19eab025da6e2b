package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// accounts is a machine with an access control list that is told two handles at a time.
type accounts struct {
	*fake
	list    map[uint32]amt.AuthorizationServiceAddUserAclEntryExIn
	off     map[uint32]bool
	forgets bool // takes changes and does not keep them
	changes int
}

func newAccounts(users ...string) *accounts {
	a := &accounts{fake: newFake(), list: map[uint32]amt.AuthorizationServiceAddUserAclEntryExIn{}, off: map[uint32]bool{}}
	a.instances["AMT_GeneralSettings"] = nil
	a.put(&amt.GeneralSettings{InstanceID: new("x"), DigestRealm: new(testRealm)})
	for i, name := range users {
		a.list[uint32(i+1)] = amt.AuthorizationServiceAddUserAclEntryExIn{DigestUsername: &name, AccessPermission: new(amt.AccessPermissionAny),
			Realms: []Realm{amt.RealmGeneralInfo}}
	}
	return a
}

func (a *accounts) RoundTrip(ctx context.Context, req *wsman.Request) (*wsman.Response, error) {
	method, ok := strings.CutPrefix(req.Action, wsman.ClassURI("AMT_AuthorizationService")+"/")
	if !ok {
		return a.fake.RoundTrip(ctx, req)
	}
	if !strings.HasPrefix(method, "Get") && !strings.HasPrefix(method, "Enumerate") {
		a.changes++
	}
	out, found, err := aclMethods.Invoke(ctx, a, "AMT_AuthorizationService", method, req.Selectors, req.Body)
	if err != nil || !found {
		return nil, cmpError(err, wsman.ErrActionNotSupported)
	}
	return &wsman.Response{Action: req.Action + wsman.ResponseSuffix, RelatesTo: req.MessageID, ResourceURI: req.ResourceURI, Body: &out}, nil
}

func cmpError(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

var aclMethods = func() *class.Mux[*accounts] {
	mux := &class.Mux[*accounts]{}
	class.Handle(mux, amt.AuthorizationServiceGetAdminAclEntry, func(_ context.Context, _ *accounts, _ wsman.Selectors, _ amt.AuthorizationServiceGetAdminAclEntryIn) (out amt.AuthorizationServiceGetAdminAclEntryOut, _ status.Status, _ error) {
		out.Username = new("admin")
		return out, 0, nil
	})
	class.Handle(mux, amt.AuthorizationServiceEnumerateUserAclEntries, func(_ context.Context, a *accounts, _ wsman.Selectors, in amt.AuthorizationServiceEnumerateUserAclEntriesIn) (out amt.AuthorizationServiceEnumerateUserAclEntriesOut, _ status.Status, _ error) {
		for h := range a.list {
			out.Handles = append(out.Handles, h)
		}
		slices.Sort(out.Handles)
		out.TotalCount = new(uint32(len(out.Handles)))
		out.Handles = out.Handles[*in.StartIndex-1:]
		out.Handles = out.Handles[:min(2, len(out.Handles))]
		return out, 0, nil
	})
	class.Handle(mux, amt.AuthorizationServiceGetUserAclEntryEx, func(_ context.Context, a *accounts, _ wsman.Selectors, in amt.AuthorizationServiceGetUserAclEntryExIn) (out amt.AuthorizationServiceGetUserAclEntryExOut, _ status.Status, _ error) {
		u, ok := a.list[*in.Handle]
		if !ok {
			return out, status.InvalidHandle, nil
		}
		return amt.AuthorizationServiceGetUserAclEntryExOut{DigestUsername: u.DigestUsername, KerberosUserSid: u.KerberosUserSid,
			AccessPermission: u.AccessPermission, Realms: u.Realms}, 0, nil
	})
	class.Handle(mux, amt.AuthorizationServiceGetAclEnabledState, func(_ context.Context, a *accounts, _ wsman.Selectors, in amt.AuthorizationServiceGetAclEnabledStateIn) (out amt.AuthorizationServiceGetAclEnabledStateOut, _ status.Status, _ error) {
		out.Enabled = new(!a.off[*in.Handle])
		return out, 0, nil
	})
	class.Handle(mux, amt.AuthorizationServiceSetAclEnabledState, func(_ context.Context, a *accounts, _ wsman.Selectors, in amt.AuthorizationServiceSetAclEnabledStateIn) (out amt.AuthorizationServiceSetAclEnabledStateOut, _ status.Status, _ error) {
		if !a.forgets {
			a.off[*in.Handle] = !*in.Enabled
		}
		return out, 0, nil
	})
	class.Handle(mux, amt.AuthorizationServiceAddUserAclEntryEx, func(_ context.Context, a *accounts, _ wsman.Selectors, in amt.AuthorizationServiceAddUserAclEntryExIn) (out amt.AuthorizationServiceAddUserAclEntryExOut, _ status.Status, _ error) {
		out.Handle = new(uint32(100))
		if a.forgets {
			in.Realms = in.Realms[:1]
		}
		a.list[100] = in
		delete(a.off, 100)
		return out, 0, nil
	})
	class.Handle(mux, amt.AuthorizationServiceRemoveUserAclEntry, func(_ context.Context, a *accounts, _ wsman.Selectors, in amt.AuthorizationServiceRemoveUserAclEntryIn) (out amt.AuthorizationServiceRemoveUserAclEntryOut, _ status.Status, _ error) {
		if !a.forgets {
			delete(a.list, *in.Handle)
		}
		return out, 0, nil
	})
	return mux
}()

func TestUsersOfSeveralPages(t *testing.T) {
	a := newAccounts("$$uns", "b", "c", "d", "e")
	a.off[3] = true
	got, err := Over(a, "desk-7").Users(t.Context())
	var names []string
	for _, u := range got {
		names = append(names, fmt.Sprint(u.Name, u.Enabled, u.Admin, u.BuiltIn))
	}
	want := []string{"admin true true false", "$$uns true false true", "b true false false", "c false false false", "d true false false", "e true false false"}
	for i := range want {
		want[i] = strings.Replace(want[i], " ", "", 1)
	}
	if d := cmp.Diff(want, names); d != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, d)
	}
}

func TestAddUser(t *testing.T) {
	a := newAccounts("b")
	c := Over(a, "desk-7")
	got, err := c.AddUser(t.Context(), User{Name: "ops", Enabled: false, Realms: []Realm{5, 2}}, "Secr3t!pass")
	want := User{Handle: 100, Name: "ops", Access: AccessAny, Realms: []Realm{2, 5}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v, -want +got\n%s", err, d)
	}
	if hash := fmt.Sprintf("%x", a.list[100].DigestPassword); hash != "bb535f6ded1a42dc0608ae3b6693bca4" { // printf ops:REALM:PASSWORD | md5sum
		t.Errorf("password hash: got %s", hash)
	}
	sid := "S-1-5-21-397955417-626881126-188441444-1104"
	if got, err = c.AddUser(t.Context(), User{SID: sid, Enabled: true, Access: AccessLocal, Realms: []Realm{3}}, ""); err != nil || got.SID != sid || got.Name != "" {
		t.Errorf("Kerberos: got %+v, %v", got, err)
	}
	a.forgets = true
	if _, err := c.AddUser(t.Context(), User{Name: "ops", Enabled: true, Realms: []Realm{5, 2}}, "Secr3t!pass"); !errors.Is(err, ErrDiffers) {
		t.Errorf("a machine that keeps something else: got %v", err)
	}
	if _, err := c.EnableUser(t.Context(), "ops", false); !errors.Is(err, ErrDiffers) {
		t.Errorf("a machine that does not disable: got %v", err)
	}
	if err := c.RemoveUser(t.Context(), "ops"); !errors.Is(err, ErrDiffers) {
		t.Errorf("a machine that does not remove: got %v", err)
	}
}

// What the firmware would refuse, or what would shut everybody out, is not sent.
func TestUserNotSent(t *testing.T) {
	a := newAccounts("$$uns", "b")
	c := Over(a, "desk-7")
	ctx, some := t.Context(), []Realm{5}
	for name, do := range map[string]func() error{
		"no realm": func() error { _, err := c.AddUser(ctx, User{Name: "x"}, "Secr3t!pass"); return err },
		"weak":     func() error { _, err := c.AddUser(ctx, User{Name: "x", Realms: some}, "secret"); return err },
		"long name": func() error {
			_, err := c.AddUser(ctx, User{Name: "12345678901234567", Realms: some}, "Secr3t!pass")
			return err
		},
		"bad name":         func() error { _, err := c.AddUser(ctx, User{Name: "a:b", Realms: some}, "Secr3t!pass"); return err },
		"bad SID":          func() error { _, err := c.AddUser(ctx, User{SID: "S-1", Realms: some}, ""); return err },
		"firmware's own":   func() error { return c.RemoveUser(ctx, "$$uns") },
		"administrator":    func() error { return c.RemoveUser(ctx, "admin") },
		"disable admin":    func() error { _, err := c.EnableUser(ctx, "admin", false); return err },
		"nobody":           func() error { return c.RemoveUser(ctx, "nobody") },
		"rename alone":     func() error { _, err := c.ChangeUser(ctx, "b", UserChange{Name: "c"}); return err },
		"admin's realms":   func() error { _, err := c.ChangeUser(ctx, "admin", UserChange{Realms: some}); return err },
		"nothing":          func() error { _, err := c.ChangeUser(ctx, "b", UserChange{}); return err },
		"no realms at all": func() error { _, err := c.ChangeUser(ctx, "b", UserChange{Realms: []Realm{}}); return err },
	} {
		if err := do(); !errors.Is(err, ErrUsage) || strings.Contains(err.Error(), "Secr3t") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if a.changes != 0 {
		t.Errorf("%d changes were sent", a.changes)
	}
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]string{
		"P@ssw0rd": "", "Ab1!Ab1!Ab1!Ab1!Ab1!Ab1!Ab1!Ab1!": "", "Ab1!Ab1!Ab1!Ab1!Ab1!Ab1!Ab1!Ab1!x": "at most 32 characters",
		"P@ssw0r": "8 characters", "Passw0rd": "special", "Pass_w0rd": "special", "P@ssword": "a digit", "p@ssw0rd": "upper-case", "P@SSW0RD": "lower-case",
		"P@ss:w0rd": "colon", "P@ss,w0rd": "comma", "P@ss\"w0rd": "double quote", "P@ßw0rd1": "ASCII", "": "8 characters",
	} {
		err := CheckPassword(password)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: got %v, want %q", password, err, want)
		}
	}
}

func TestParseRealms(t *testing.T) {
	for _, tt := range []struct {
		words string
		want  []Realm
	}{
		{"remote-control,redirection", []Realm{2, 5}},
		{"PT administration", []Realm{3}},
		{"AGENT_PRESENCE_LOCAL,9,agent-local", []Realm{9}},
		{"System Defense,general info", []Realm{11, 13}},
		{"Event Log Reader,local UN", []Realm{16, 19}},
		{"nonsense", nil},
		{"", nil},
	} {
		got, err := ParseRealms(strings.Split(tt.words, ","))
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("%q: got %v, %v; want %v", tt.words, got, err, tt.want)
		}
	}
	for _, name := range RealmNames() {
		if r, err := ParseRealm(name); err != nil || RealmName(r) != name {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
	if all, err := ParseRealms([]string{"all"}); err != nil || len(all) != len(RealmNames()) {
		t.Errorf("all: got %v, %v", all, err)
	}
}

func FuzzParseSID(f *testing.F) {
	for _, s := range []string{"S-1-5-21-397955417-626881126-188441444-1104", "s-1-5-32-544", "S-1-0x123456789abc-1", "S-1-5", "S-1-5-", "S-1-5-4294967296", "S-2-5-1", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sid, err := ParseSID(s)
		if err != nil {
			if !errors.Is(err, ErrUsage) {
				t.Fatalf("%q: got %v", s, err)
			}
			return
		}
		text := FormatSID(sid)
		again, err := ParseSID(text)
		if err != nil || !slices.Equal(again, sid) || len(sid) > maxSID {
			t.Fatalf("%q: got %x, %s, %x, %v", s, sid, text, again, err)
		}
	})
}

func TestSID(t *testing.T) {
	got, err := ParseSID("S-1-5-21-1-2-3-4")
	if err != nil || fmt.Sprintf("%x", got) != "010500000000000515000000010000000200000003000000"+"04000000" {
		t.Errorf("got %x, %v", got, err)
	}
	if _, err := ParseSID("S-1-5-21-1-2-3-4-5"); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "32 octets") {
		t.Errorf("too long: got %v", err)
	}
}
