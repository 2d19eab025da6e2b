package console

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/tlv"
)

// recoveryParams are the parameters of a recovery boot, as AMT_BootSettingData has them.
type recoveryParams struct {
	array []byte
	count uint32
}

// Limits. Source: spec power-and-boot.md section 5.
const (
	maxBootURL    = 300
	maxDevicePath = 300
)

// packParams holds parameters against what a BIOS takes, and packs them. Errors wrap [ErrUsage].
func packParams(params []tlv.Param) (*recoveryParams, error) {
	if err := tlv.CheckBoot(params); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	array, err := tlv.Append(nil, params...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUsage, err)
	}
	return &recoveryParams{array, uint32(len(params))}, nil
}

// httpsParams makes the parameters of a boot from a URL.
func (c *Client) httpsParams(ctx context.Context, req BootRequest) (*recoveryParams, error) {
	u, err := url.Parse(req.URL)
	switch {
	case err != nil || u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%w: the image must be at an https URL", ErrUsage)
	case u.User != nil:
		return nil, fmt.Errorf("%w: user and password do not belong into the URL", ErrUsage)
	case len(req.URL) > maxBootURL:
		return nil, fmt.Errorf("%w: a URL of %d octets, at most %d", ErrUsage, len(req.URL), maxBootURL)
	}
	if c.over == nil && c.cfg.Dial == nil {
		if at, err := c.Endpoint(ctx); err != nil {
			return nil, err
		} else if at.Scheme != HTTPS {
			return nil, fmt.Errorf("%w: recovery boot needs TLS to the machine", ErrNotOffered)
		}
	}
	if err := req.Recovery.check(); err != nil {
		return nil, err
	}
	params := append([]tlv.Param{tlv.Text(tlv.NetworkPath, req.URL)}, req.Recovery.params()...)
	if req.User != "" {
		params = append(params, tlv.Text(tlv.HTTPUser, req.User), tlv.Text(tlv.HTTPPassword, req.Password))
	}
	return packParams(params)
}

// localRecovery finds the source of a recovery that lies on the machine's own disk.
func (c *Client) localRecovery(ctx context.Context, d BootDevice, number int) (id string, params *recoveryParams, err error) {
	sources, err := class.All[cim.BootSourceSetting](ctx, c)
	if err != nil {
		return "", nil, err
	}
	for _, s := range sources {
		id := class.Value(s.InstanceID)
		if !strings.Contains(id, "OCR UEFI Boot Option") {
			continue
		}
		windows := strings.Contains(strings.ToLower(class.Value(s.BIOSBootString)), "winre")
		path := class.Value(s.BootString)
		if number > 0 && !strings.HasSuffix(id, fmt.Sprintf(" %d", number)) {
			continue
		}
		if windows != (d == BootWinRE) || path == "" || len(path) > maxDevicePath {
			continue
		}
		params, err := packParams([]tlv.Param{tlv.Text(tlv.FilePath, path), tlv.Word(tlv.FilePathLength, uint16(len(path)))})
		return id, params, err
	}
	return "", nil, fmt.Errorf("%w: the BIOS has registered no source for %s", ErrNotOffered, d)
}
