package agent

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/activation"
	"github.com/outband/outband/wire/amthi"
	"github.com/outband/outband/wire/digest"
	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/watchdog"
	"github.com/outband/outband/wire/wsman"
)

// A Result is what came of reaching for a goal.
type Result struct {
	Plan Plan
	Done []Step // in order; the one that failed is not among them
	Mode amthi.ControlMode
	// TakenBack is set when the work failed and AMT was brought back to not being set up.
	TakenBack bool
}

const adminName = "admin"

// Times. Source: spec amthi.md section 3.8, activation.md sections 5 and 9; rpc-go waits as long.
const (
	restTime   = 20 * time.Second // of the firmware after a setup was stopped
	tryAgain   = 2 * time.Second  // between tries to begin
	beginTries = 15
	settleTime = time.Minute // for AMT to be what it was made
	lookEvery  = time.Second
	cleanTime  = 30 * time.Second // to take back what was begun, even if the caller has given up
)

// Reach brings AMT to a goal, and returns when AMT itself says that it is there, and a login with the password has
// proved it. What [Agent.Plan] refuses is refused here, before anything is changed. An error in the midst of setup takes
// it back as far as AMT lets it: [Result].TakenBack.
func (a *Agent) Reach(ctx context.Context, g Goal) (Result, error) {
	w, err := a.begin(ctx, g)
	defer w.end()
	r := Result{Plan: w.plan, Mode: w.plan.From.Mode}
	if err != nil {
		return r, err
	}
	for _, s := range w.plan.Steps {
		if a.OnStep != nil {
			a.OnStep(s)
		}
		a.log().Info("step", "step", s)
		if err = w.do(ctx, s); err != nil {
			err = fmt.Errorf("%s: %w", s, err)
			break
		}
		r.Done = append(r.Done, s)
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if err != nil {
		r.TakenBack = w.takeBack(clean, r.Done)
	}
	if mode, _, asked := a.now(clean); asked == nil {
		r.Mode = mode
	} else if err == nil && !w.plan.From.Off {
		err = asked
	}
	if err == nil && r.Mode != g.Mode && !w.plan.From.Off {
		err = fmt.Errorf("%w: AMT is in %v", ErrNotReached, r.Mode)
	}
	return r, err
}

// do does one step.
func (w *work) do(ctx context.Context, s Step) error {
	switch s {
	case StepSwitchOn:
		return w.switchOn(ctx)
	case StepStopSetup:
		return w.stopSetup(ctx)
	case StepClient:
		return w.setUpClient(ctx)
	case StepChain:
		return w.showChain(ctx)
	case StepAdmin, StepUpgrade:
		return w.setUpAdmin(ctx, s)
	case StepBeginTLS:
		return w.beginTLS(ctx)
	case StepPassword:
		return w.setPassword(ctx)
	case StepMEBx:
		return w.setMEBx(ctx)
	case StepCommit:
		return w.commit(ctx)
	case StepVerify:
		return w.login(ctx)
	case StepDeactivate:
		return w.deactivate(ctx)
	case StepAwaitEnd:
		return w.await(ctx, amthi.NotProvisioned)
	}
	return errors.New("unknown step")
}

// takeBack brings AMT back to not being set up if it got stuck on the way there. What was set up before the work began is
// left alone.
func (w *work) takeBack(ctx context.Context, done []Step) bool {
	if w.plan.From.Mode != amthi.NotProvisioned || w.plan.To == amthi.NotProvisioned || len(done) == 0 && w.plan.From.State == amthi.InProvisioning {
		return false
	}
	mode, state, err := w.now(ctx)
	if err != nil {
		return false
	}
	switch {
	case mode == amthi.ClientControl: // nobody has proved that the password is right
		err = w.ask(ctx, func(c *amthi.Client) error { return c.Unprovision(ctx) })
	case mode == amthi.NotProvisioned && state == amthi.InProvisioning:
		err = w.ask(ctx, func(c *amthi.Client) error { return c.StopConfiguration(ctx) })
	default:
		return false
	}
	if err != nil {
		w.log().Warn("take back", "error", err)
		return false
	}
	return w.await(ctx, amthi.NotProvisioned) == nil
}

// await waits until AMT says that it is in a mode, and no setup is under way. It may not answer for a while.
func (w *work) await(ctx context.Context, want amthi.ControlMode) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		mode, state, err := w.now(ctx)
		if err == nil && mode == want && state != amthi.InProvisioning {
			return nil
		}
		if !pause(ctx, lookEvery) {
			if err == nil {
				err = fmt.Errorf("%w: AMT is in %v, %v", ErrNotReached, mode, state)
			}
			return err
		}
	}
}

// pause waits; false means that the context has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (w *work) clock() time.Time { return time.Now() }

// switchOn switches AMT on.
func (w *work) switchOn(ctx context.Context) error {
	c, err := mei.Retry{Bus: w.Bus}.Connect(ctx, mei.Watchdog)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := watchdog.SetOperational(ctx, c, true); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for {
		if _, _, err = w.now(ctx); err == nil || !errors.Is(err, amthi.ErrDisabled) {
			break
		}
		if !pause(ctx, lookEvery) {
			return err
		}
	}
	if err != nil {
		return err
	}
	w.plan.From.Off = false
	return w.again(ctx)
}

// again looks at AMT once more, where it could not be seen what it is.
func (w *work) again(ctx context.Context) error {
	info, err := w.Info(ctx)
	if err != nil {
		return err
	}
	w.plan.From = info
	return w.planCertificate(ctx)
}

// stopSetup stops a setup that somebody has begun and not ended, and gives the firmware the time it needs.
func (w *work) stopSetup(ctx context.Context) error {
	err := w.ask(ctx, func(c *amthi.Client) error { return c.StopConfiguration(ctx) })
	var refused *status.Error
	if err != nil && !errors.As(err, &refused) {
		return err
	}
	if err := w.await(ctx, amthi.NotProvisioned); err != nil {
		return err
	}
	if w.plan.To == amthi.NotProvisioned || !slices.Contains(w.plan.Steps, StepBeginTLS) {
		return nil
	}
	if !pause(ctx, restTime) {
		return context.Cause(ctx)
	}
	return nil
}

// inside returns a client for what is done before AMT is set up: with the account that the engine gives to programs on
// its PC. Once it is set up, as the administrator.
func (w *work) inside(ctx context.Context, ch *channel) (*wsman.Client, error) {
	if w.plan.From.Mode != amthi.NotProvisioned {
		if err := w.needPassword(); err != nil {
			return nil, err
		}
		return ch.client(adminName, w.goal.Password), nil
	}
	var account amthi.LocalAccount
	err := w.ask(ctx, func(c *amthi.Client) (err error) { account, err = c.LocalSystemAccount(ctx); return err })
	if err != nil {
		return nil, err
	}
	return ch.client(account.User, account.Password), nil
}

// with calls do with a client of inside.
func (w *work) with(ctx context.Context, do func(*wsman.Client) error) error {
	ch, err := w.channel(ctx)
	if err != nil {
		return err
	}
	client, err := w.inside(ctx, ch)
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client)
}

// hash is the form in which AMT is told a password: it never sees the password itself.
func (w *work) hash(ctx context.Context, rt wsman.RoundTripper) (hash [16]byte, err error) {
	settings, err := class.Get[amt.GeneralSettings](ctx, rt)
	if err != nil {
		return hash, err
	}
	realm := class.Value(settings.DigestRealm)
	if realm == "" {
		return hash, errors.New("AMT names no digest realm")
	}
	return digest.HA1(adminName, realm, w.goal.Password), nil
}

// reached settles a call that should have set AMT up: its answer may be lost although it was carried out.
func (w *work) reached(ctx context.Context, err error) error {
	var refused *status.Error
	if err == nil || errors.As(err, &refused) {
		return err
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if mode, _, asked := w.now(look); asked == nil && mode == w.goal.Mode {
		w.log().Info("the answer was lost, but AMT is set up", "error", err)
		return nil
	}
	return err
}

// setUpClient sets AMT up in client control mode.
func (w *work) setUpClient(ctx context.Context) error {
	return w.with(ctx, func(c *wsman.Client) error {
		hash, err := w.hash(ctx, c)
		if err != nil {
			return err
		}
		_, err = ips.HostBasedSetupServiceSetup.Invoke(ctx, c, ips.HostBasedSetupServiceSetupIn{
			NetAdminPassEncryptionType: new(ips.HostBasedSetupServiceSetupNetAdminPassEncryptionType(digestMD5)),
			NetworkAdminPassword:       new(hex.EncodeToString(hash[:])),
		})
		return w.reached(ctx, err)
	})
}

// Values of parameters. Source: the class model.
const (
	digestMD5 = 2 // NetAdminPassEncryptionType
	signRSA   = 2 // SigningAlgorithm
)

// showChain gives AMT the certificates one by one. What an earlier try has left there is refused once, and forgotten by
// that.
func (w *work) showChain(ctx context.Context) error {
	return w.with(ctx, func(c *wsman.Client) error {
		service, err := class.Get[ips.HostBasedSetupService](ctx, c)
		if err != nil {
			return err
		}
		w.nonce = service.ConfigurationNonce
		if len(w.nonce) == 0 {
			return errors.New("AMT gives no nonce to sign")
		}
		if err = w.sendChain(ctx, c); refusedWith(err, chainInvalidState) {
			err = w.sendChain(ctx, c)
		}
		return err
	})
}

const chainInvalidState status.Status = 3

func refusedWith(err error, code status.Status) bool {
	var refused *status.Error
	return errors.As(err, &refused) && refused.Code == code
}

func (w *work) sendChain(ctx context.Context, c *wsman.Client) error {
	chain := w.goal.Certificate.Chain
	for i, one := range chain {
		_, err := ips.HostBasedSetupServiceAddNextCertInChain.Invoke(ctx, c, ips.HostBasedSetupServiceAddNextCertInChainIn{
			NextCertificate: one.Raw, IsLeafCertificate: new(i == 0), IsRootCertificate: new(i == len(chain)-1),
		})
		if err != nil {
			return fmt.Errorf("certificate %d of %d: %w", i+1, len(chain), err)
		}
	}
	return nil
}

// setUpAdmin sets AMT up in admin control mode, or takes it there, by signing the nonces.
func (w *work) setUpAdmin(ctx context.Context, s Step) error {
	own := make([]byte, activation.NonceSize)
	rand.Read(own)
	signature, err := activation.Sign(w.goal.Certificate.Key, w.nonce, own)
	if err != nil {
		return fmt.Errorf("sign: %w", err)
	}
	return w.with(ctx, func(c *wsman.Client) error {
		if s == StepUpgrade {
			_, err := ips.HostBasedSetupServiceUpgradeClientToAdmin.Invoke(ctx, c, ips.HostBasedSetupServiceUpgradeClientToAdminIn{
				McNonce: own, SigningAlgorithm: new(ips.HostBasedSetupServiceUpgradeClientToAdminSigningAlgorithm(signRSA)), DigitalSignature: signature,
			})
			return w.reached(ctx, err)
		}
		hash, err := w.hash(ctx, c)
		if err != nil {
			return err
		}
		_, err = ips.HostBasedSetupServiceAdminSetup.Invoke(ctx, c, ips.HostBasedSetupServiceAdminSetupIn{
			NetAdminPassEncryptionType: new(ips.HostBasedSetupServiceAdminSetupNetAdminPassEncryptionType(digestMD5)),
			NetworkAdminPassword:       new(hex.EncodeToString(hash[:])),
			McNonce:                    own, SigningAlgorithm: new(ips.HostBasedSetupServiceAdminSetupSigningAlgorithm(signRSA)), DigitalSignature: signature,
		})
		return w.reached(ctx, err)
	})
}

// login proves that AMT is set up and the administrator's password is that of the goal.
func (w *work) login(ctx context.Context) error {
	if err := w.needPassword(); err != nil {
		return err
	}
	return w.asAdmin(ctx, func(c *wsman.Client) error {
		service, err := class.Get[ips.HostBasedSetupService](ctx, c)
		if err != nil {
			return w.wrong(err)
		}
		want := w.goal.Mode
		if want == amthi.NotProvisioned { // on the way out it is where it was
			want = w.plan.From.Mode
		}
		if uint32(class.Value(service.CurrentControlMode)) != uint32(want) {
			return fmt.Errorf("%w: it is in %v", errNoProof, amthi.ControlMode(class.Value(service.CurrentControlMode)))
		}
		return nil
	})
}

// asAdmin calls do with a client that logs in as the administrator. AMT may just have restarted its ports.
func (w *work) asAdmin(ctx context.Context, do func(*wsman.Client) error) error {
	ch, err := w.channel(ctx)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		c := ch.client(adminName, w.goal.Password)
		err := do(c)
		c.Close()
		if err == nil || try == loginTries || isUnauthorized(err) || isAnswer(err) || !pause(ctx, lookEvery) {
			return err
		}
	}
}

const loginTries = 10

// isAnswer reports whether AMT itself has said no.
func isAnswer(err error) bool {
	var refused *status.Error
	var fault *wsman.Fault
	return errors.As(err, &refused) || errors.As(err, &fault) || errors.Is(err, errNoProof)
}

func isUnauthorized(err error) bool { return errors.Is(err, wsman.ErrUnauthorized) }

// beginTLS tells AMT which certificate will come, and keeps that of AMT.
func (w *work) beginTLS(ctx context.Context) error {
	algorithm, hash := activation.LeafHash(w.goal.Certificate.Chain[0])
	var reply amthi.HostBasedReply
	for try := 1; ; try++ {
		err := w.ask(ctx, func(c *amthi.Client) (err error) {
			reply, err = c.StartConfigurationHBased(ctx, amthi.HostBased{Algorithm: algorithm, Hash: hash})
			return err
		})
		var refused *status.Error
		if err == nil {
			break
		}
		if try == beginTries || !errors.As(err, &refused) || !passes(refused.Code) || !pause(ctx, tryAgain) {
			return err
		}
	}
	ch, err := w.channel(ctx)
	if err != nil {
		return err
	}
	w.overTLS = ch.setupClient(w.goal.Certificate, func(c *x509.Certificate) error {
		if len(reply.Hash) == 0 || string(activation.Hash(c, reply.Algorithm)) != string(reply.Hash) {
			return fmt.Errorf("%w: %s", ErrMaker, c.Subject)
		}
		return nil
	})
	return nil
}

// passes reports whether a refusal to begin passes by itself. Source: spec amthi.md section 3.19.
func passes(code status.Status) bool {
	const inProgress, notReady, noCertificate = 0x2f, 0x30, 0x31
	return code == status.NotReady || code == inProgress || code == notReady || code == noCertificate
}

// setPassword gives the administrator the password of the goal, over TLS.
func (w *work) setPassword(ctx context.Context) error {
	hash, err := w.hash(ctx, w.overTLS)
	if err != nil {
		return err
	}
	_, err = amt.AuthorizationServiceSetAdminAclEntryEx.Invoke(ctx, w.overTLS, amt.AuthorizationServiceSetAdminAclEntryExIn{
		Username: new(adminName), DigestPassword: hash[:],
	})
	return err
}

func (w *work) setMEBx(ctx context.Context) error {
	_, err := amt.SetupAndConfigurationServiceSetMEBxPassword.Invoke(ctx, w.overTLS, amt.SetupAndConfigurationServiceSetMEBxPasswordIn{Password: new(w.goal.MEBxPassword)})
	return err
}

// commit ends setup where AMT wants to be told. The connection may end before the answer: AMT is asked what it is.
func (w *work) commit(ctx context.Context) error {
	call := func(c *wsman.Client) error {
		_, err := amt.SetupAndConfigurationServiceCommitChanges.Invoke(ctx, c, amt.SetupAndConfigurationServiceCommitChangesIn{})
		return err
	}
	var err error
	if w.overTLS != nil {
		err = call(w.overTLS)
	} else {
		err = w.asAdmin(ctx, call)
	}
	if isAnswer(err) || isUnauthorized(err) {
		return w.wrong(err)
	}
	if err != nil {
		w.log().Info("commit: the connection ended", "error", err)
	}
	if w.overTLS != nil {
		w.overTLS.Close()
	}
	return w.await(ctx, w.goal.Mode)
}

// mayUnprovision asks AMT what forbids to unprovision it.
func (w *work) mayUnprovision(ctx context.Context) error {
	return w.asAdmin(ctx, func(c *wsman.Client) error {
		out, err := amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponents.Invoke(ctx, c, amt.SetupAndConfigurationServiceGetUnprovisionBlockingComponentsIn{})
		if err == nil && len(out.Component) > 0 {
			return fmt.Errorf("%w: component %v of AMT forbids it (1 is the audit log: its auditor must agree)", ErrState, out.Component)
		}
		return nil // older firmware does not tell
	})
}

// deactivate takes AMT out of management: from client control mode on the PC's word alone, from admin control mode as
// the administrator.
func (w *work) deactivate(ctx context.Context) error {
	if w.plan.From.Mode == amthi.ClientControl {
		return w.reached(ctx, w.ask(ctx, func(c *amthi.Client) error { return c.Unprovision(ctx) }))
	}
	return w.reached(ctx, w.asAdmin(ctx, func(c *wsman.Client) error {
		_, err := amt.SetupAndConfigurationServiceUnprovision.Invoke(ctx, c, amt.SetupAndConfigurationServiceUnprovisionIn{ProvisioningMode: new(amt.SetupAndConfigurationServiceUnprovisionProvisioningMode(1))})
		return err
	}))
}
