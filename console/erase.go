package console

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/wire/tlv"
)

// An ErasePart is something that a platform erase can take away.
type ErasePart string

// The parts. Source: AMT_BootCapabilities.PlatformErase; spec power-and-boot.md section 6.2.
const (
	ErasePyrite ErasePart = "pyrite" // revert the drive to its factory state, with its PSID
	EraseSSD    ErasePart = "ssd"    // secure erase of all SSDs
	EraseVerify ErasePart = "verify" // read afterwards that they are empty
	EraseTPM    ErasePart = "tpm"    // clear the TPM
	EraseOEM    ErasePart = "oem"    // what the OEM has made
	EraseNVM    ErasePart = "nvm"    // clear the variables of the BIOS
	EraseBIOS   ErasePart = "bios"   // reload the BIOS's golden configuration
	EraseCSME   ErasePart = "csme"   // unconfigure the engine: AMT is unprovisioned
)

// eraseBits are the bits of the parts, in the order of the bits.
var eraseBits = []struct {
	part ErasePart
	bit  amt.BootCapabilitiesPlatformErase
}{
	{ErasePyrite, 1 << 1}, {EraseSSD, 1 << 2}, {EraseVerify, 1 << 3}, {EraseTPM, 1 << 6}, {EraseOEM, 1 << 16}, {EraseNVM, 1 << 25},
	{EraseBIOS, 1 << 26}, {EraseCSME, 1 << 31},
}

// ParseErasePart takes a part. Errors wrap [ErrUsage].
func ParseErasePart(word string) (ErasePart, error) {
	var all []string
	for _, e := range eraseBits {
		if strings.EqualFold(word, string(e.part)) {
			return e.part, nil
		}
		all = append(all, string(e.part))
	}
	return "", fmt.Errorf("%w: %q is none of %s", ErrUsage, word, strings.Join(all, ", "))
}

// eraseParts returns what the machine can erase.
func (v *bootView) eraseParts() (out []ErasePart) {
	can := class.Value(v.caps.PlatformErase)
	if can&amt.BootCapabilitiesPlatformEraseSupported == 0 {
		return nil
	}
	for _, e := range eraseBits {
		if can&e.bit != 0 {
			out = append(out, e.part)
		}
	}
	return out
}

// An EraseRequest says what to erase. The passwords go to the machine and nowhere else.
type EraseRequest struct {
	Parts         []ErasePart
	PSID          string        `json:"-"` // of the drive, printed on it; for ErasePyrite
	DrivePassword string        `json:"-"` // for EraseSSD and for a secure erase; "" if the drive has none
	OEMData       []byte        `json:"-"` // for EraseOEM
	Wait          time.Duration // for the result; 0: half an hour; negative: return when it has started

	// Told, if set, is called when there is news.
	Told func(news string) `json:"-"`
}

func (r *EraseRequest) tell(format string, args ...any) {
	if r.Told != nil {
		r.Told(fmt.Sprintf(format, args...))
	}
}

// An EraseResult is what became of an erase.
type EraseResult struct {
	Parts  []ErasePart
	Status string // as the BIOS told it: "success", "failed, wrong password" ...; "" if it did not
	Proof  Proof
	Took   time.Duration
}

// ProofBIOS is the proof of an erase that the BIOS has told the end of.
const ProofBIOS Proof = "told by the BIOS"

// ErrErase is an error of an erase that the BIOS says has failed.
var ErrErase = errors.New("the BIOS says that the erase failed")

// eraseWait is how long an erase may take: a whole disk may be read to verify it.
const eraseWait = 30 * time.Minute

// Erase takes away for good what is asked for, at a boot that it starts: remote platform erase (16 and newer). What the
// machine cannot erase, and missing consent, are refused before anything is changed; remote platform erase is switched
// on in CIM_BootService if need be. It returns when the BIOS has told how it went; if the engine was to be unconfigured,
// when its ports are closed.
func (c *Client) Erase(ctx context.Context, req EraseRequest) (EraseResult, error) {
	began := time.Now()
	res, err := c.erase(ctx, req)
	res.Took = time.Since(began)
	if err != nil {
		return res, fmt.Errorf("erase: %w", err)
	}
	return res, nil
}

func (c *Client) erase(ctx context.Context, req EraseRequest) (EraseResult, error) {
	res := EraseResult{Parts: req.Parts}
	params, err := req.params()
	if err != nil {
		return res, err
	}
	array, err := tlv.Append(nil, params...)
	if err != nil {
		return res, fmt.Errorf("%w: %v", ErrUsage, err)
	}
	view, err := c.bootView(ctx)
	if err != nil {
		return res, err
	}
	if err := view.erases(req.Parts); err != nil {
		return res, err
	}
	if bits, _ := view.serviceBits(); bits&2 == 0 {
		if err := c.bootService(ctx, bits|2); err != nil {
			return res, fmt.Errorf("switch remote platform erase on: %w", err)
		}
		req.tell("remote platform erase was switched on")
	}
	verb, err := c.startErase(ctx, func(o *amt.BootSettingData) {
		o.PlatformErase, o.BootMediaIndex = new(true), new(uint16(0))
		o.UefiBootNumberOfParams, o.UefiBootParametersArray = new(uint32(len(params))), array
	})
	if err != nil {
		return res, err
	}
	req.tell("%s: the BIOS erases", verb)
	err = c.awaitErase(ctx, &req, &res)
	return res, err
}

// params makes the parameters of the erase, and checks what belongs together.
func (r *EraseRequest) params() ([]tlv.Param, error) {
	var mask uint32
	for _, p := range r.Parts {
		for _, e := range eraseBits {
			if e.part == p {
				mask |= uint32(e.bit)
			}
		}
	}
	has := func(p ErasePart) bool { return slices.Contains(r.Parts, p) }
	switch {
	case mask == 0:
		return nil, fmt.Errorf("%w: nothing to erase", ErrUsage)
	case has(ErasePyrite) && r.PSID == "":
		return nil, fmt.Errorf("%w: a Pyrite revert needs the PSID that is printed on the drive", ErrUsage)
	case len(r.PSID) > 64:
		return nil, fmt.Errorf("%w: a PSID of %d characters, at most 64", ErrUsage, len(r.PSID))
	}
	if err := checkDrivePassword(r.DrivePassword); err != nil {
		return nil, err
	}
	params := []tlv.Param{tlv.DWord(tlv.EraseMask, mask)}
	if has(ErasePyrite) {
		params = append(params, tlv.Text(tlv.ErasePSID, r.PSID))
	}
	if has(EraseSSD) && r.DrivePassword != "" {
		params = append(params, tlv.Text(tlv.ErasePassword, r.DrivePassword))
	}
	if has(EraseOEM) && len(r.OEMData) > 0 {
		params = append(params, tlv.Param{Vendor: tlv.OEM, Type: 20, Value: r.OEMData})
	}
	return params, nil
}

// ParseOEMData reads the OEM's data, hex digits. Errors wrap [ErrUsage].
func ParseOEMData(digits string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil || len(b) > 128 {
		return nil, fmt.Errorf("%w: the OEM's data are up to 128 octets in hex", ErrUsage)
	}
	return b, nil
}

// erases returns why the machine cannot erase all that, or nil.
func (v *bootView) erases(parts []ErasePart) error {
	can := v.eraseParts()
	var missing []string
	for _, p := range parts {
		if !slices.Contains(can, p) {
			missing = append(missing, string(p))
		}
	}
	switch {
	case can == nil:
		return fmt.Errorf("%w: no remote platform erase (AMT_BootCapabilities.PlatformErase)", ErrUnsupported)
	case missing != nil:
		return fmt.Errorf("%w: the BIOS does not erase %s (AMT_BootCapabilities.PlatformErase)", ErrUnsupported, strings.Join(missing, ", "))
	case v.options.RPEEnabled != nil && !*v.options.RPEEnabled:
		return fmt.Errorf("%w: remote platform erase is switched off in the BIOS", ErrNotOffered)
	}
	return v.consented()
}

// startErase sets the options for one boot and starts that.
func (c *Client) startErase(ctx context.Context, options func(*amt.BootSettingData)) (Verb, error) {
	verb, err := c.bootVerb(ctx)
	if err != nil {
		return verb, err
	}
	if _, err := c.Boot(ctx, BootRequest{Device: BootAsSetUp, Also: options}); err != nil {
		return verb, err
	}
	_, err = c.Act(ctx, verb, &ActOptions{Wait: -1})
	if err != nil && !errors.Is(err, ErrIndeterminate) { // nothing was started: nothing is to be left armed
		c.Boot(ctx, BootRequest{Device: BootNone})
	}
	return verb, err
}

// awaitErase waits for what the BIOS tells.
func (c *Client) awaitErase(ctx context.Context, req *EraseRequest, res *EraseResult) error {
	if req.Wait < 0 {
		res.Proof = ProofAccepted
		return nil
	}
	wait := req.Wait
	if wait == 0 {
		wait = eraseWait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	unconfigures := slices.Contains(req.Parts, EraseCSME)
	last := ""
	for {
		now, err := class.Get[amt.BootSettingData](ctx, c)
		switch {
		case err == nil:
			words := lastStatus(now)
			if words != last {
				req.tell("the BIOS says: %s", words)
				last = words
			}
			began := class.Value(now.OptionsCleared)
			switch word := slices.Concat(now.BIOSLastStatus, []uint16{2})[0]; {
			case began && word == 0xffff:
				res.Status, res.Proof = words, ProofBIOS
				return fmt.Errorf("%w: %s", ErrErase, words)
			case began && word == 0 && !unconfigures:
				res.Status, res.Proof = words, ProofBIOS
				return nil
			case began && len(now.BIOSLastStatus) == 0 && !unconfigures: // firmware before 15 does not tell
				res.Proof = ProofAccepted
				return nil
			}
		case unconfigures && ctx.Err() == nil:
			if proof, _ := c.isUnprovisioned(ctx); proof != "" {
				res.Status, res.Proof = "success", proof
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: the BIOS has not told the end of it", ErrNotReached)
		case <-time.After(time.Second):
		}
	}
}

// lastStatus says BIOSLastStatus in words, "" if it is not told.
func lastStatus(o *amt.BootSettingData) string {
	v := &bootView{options: o, caps: &amt.BootCapabilities{}}
	return v.status().LastStatus
}

// SecureErase erases the SSD at a boot that it starts (11 and newer): what came before platform erase. The password is
// that of the drive, "" if it has none. Firmware before 15 does not tell the result: then it is [ProofAccepted].
func (c *Client) SecureErase(ctx context.Context, req EraseRequest) (EraseResult, error) {
	began := time.Now()
	req.Parts = []ErasePart{EraseSSD}
	res := EraseResult{Parts: req.Parts}
	err := c.secureErase(ctx, &req, &res)
	res.Took = time.Since(began)
	if err != nil {
		return res, fmt.Errorf("secure erase: %w", err)
	}
	return res, nil
}

func (c *Client) secureErase(ctx context.Context, req *EraseRequest, res *EraseResult) error {
	if err := checkDrivePassword(req.DrivePassword); err != nil {
		return err
	}
	view, err := c.bootView(ctx)
	if err != nil {
		return err
	}
	if !class.Value(view.caps.SecureErase) {
		return fmt.Errorf("%w: the BIOS does not support secure erase (AMT_BootCapabilities.SecureErase)", ErrUnsupported)
	}
	if err := view.consented(); err != nil {
		return err
	}
	verb, err := c.startErase(ctx, func(o *amt.BootSettingData) {
		o.SecureErase = new(true)
		if req.DrivePassword != "" {
			o.RSEPassword = &req.DrivePassword
		}
	})
	if err != nil {
		return err
	}
	req.tell("%s: the BIOS erases", verb)
	return c.awaitErase(ctx, req, res)
}
