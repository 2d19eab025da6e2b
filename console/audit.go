package console

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/wire/auditlog"
	"github.com/outband/outband/wire/status"
)

// AuditState is what a machine tells about its audit log. Source: AMT_AuditLog; spec inventory-events-policies.md
// section 3.
type AuditState struct {
	Enabled      bool
	Locked       bool // by an auditor: nothing is logged now
	AlmostFull   bool
	Full         bool
	Signing      bool // has a key to sign exports with
	Records      int
	Free         int                       // per cent
	Storage      amt.AuditLogStoragePolicy // what happens when it is full
	StorageKnown bool                      // false before 5.1: it does not roll over
	MinDays      int                       // with restricted roll over
	Last         time.Time                 // of the last record; zero if there is none
}

// An AuditLog is the audit log as it was read.
type AuditLog struct {
	Records [][]byte // octets, oldest first
	State   AuditState
}

// maxAuditRecords is how many records are read at most. Firmware holds some thousands.
const maxAuditRecords = 1 << 16

// Audit reads the whole audit log, the oldest record first. A log that was cleared or rolled over while it was read in
// pieces is read again.
func (c *Client) Audit(ctx context.Context) (AuditLog, error) {
	var log AuditLog
	err := both(
		func() (err error) { log.State, err = c.auditState(ctx); return err },
		func() (err error) { log.Records, err = c.readAudit(ctx); return err })
	if err != nil {
		return AuditLog{}, fmt.Errorf("audit log: %w", err)
	}
	return log, nil
}

// AuditState reads the state of the audit log.
func (c *Client) AuditState(ctx context.Context) (AuditState, error) {
	state, err := c.auditState(ctx)
	if err != nil {
		return AuditState{}, fmt.Errorf("audit log: %w", err)
	}
	return state, nil
}

// both does two independent things at the same time.
func both(one, other func() error) error {
	told := make(chan error, 1)
	go func() { told <- other() }()
	err := one()
	return errors.Join(err, <-told)
}

func (c *Client) auditState(ctx context.Context) (AuditState, error) {
	log, err := class.Get[amt.AuditLog](ctx, c)
	if err != nil {
		return AuditState{}, err
	}
	bits := class.Value(log.AuditState)
	s := AuditState{
		Enabled:      bits&amt.AuditLogAuditStateDisabled == 0,
		Locked:       bits&amt.AuditLogAuditStateLocked != 0,
		AlmostFull:   bits&amt.AuditLogAuditStateAlmostFull != 0,
		Full:         bits&amt.AuditLogAuditStateFull != 0,
		Signing:      bits&amt.AuditLogAuditStateNoSigningKey == 0,
		Records:      int(class.Value(log.CurrentNumberOfRecords)),
		Free:         int(class.Value(log.PercentageFree)),
		StorageKnown: log.StoragePolicy != nil,
		Storage:      class.Value(log.StoragePolicy),
		MinDays:      int(class.Value(log.MinDaysToKeep)),
	}
	if log.TimeOfLastRecord != nil {
		s.Last = log.TimeOfLastRecord.Time
	}
	return s, nil
}

// readAudit reads all records. The list comes in pieces; StartIndex counts from 1. The first record is compared at the
// end: if it is another one the log has changed in between, other than by growing.
func (c *Client) readAudit(ctx context.Context) ([][]byte, error) {
	for range maxRereads {
		var records [][]byte
		pages := 0
		for {
			page, total, err := c.auditPage(ctx, len(records)+1)
			if answered(err, status.InvalidIndex) { // it has become shorter, or is empty
				if len(records) == 0 {
					return nil, nil
				}
				break
			}
			if err != nil {
				return nil, err
			}
			pages++
			records = append(records, page...)
			if len(page) == 0 || len(records) >= total {
				if len(records) < total {
					return nil, fmt.Errorf("the log does not go on: %d of %d records", len(records), total)
				}
				break
			}
			if len(records) > maxAuditRecords {
				return nil, fmt.Errorf("more than %d records", maxAuditRecords)
			}
		}
		if pages < 2 {
			return records, nil
		}
		first, total, err := c.auditPage(ctx, 1)
		if err != nil {
			return nil, err
		}
		if len(first) > 0 && slices.Equal(first[0], records[0]) && total >= len(records) {
			return records, nil
		}
	}
	return nil, fmt.Errorf("it changed each of %d times it was read", maxRereads)
}

func (c *Client) auditPage(ctx context.Context, start int) (page [][]byte, total int, err error) {
	out, err := amt.AuditLogReadRecords.Invoke(ctx, c, amt.AuditLogReadRecordsIn{StartIndex: new(uint32(start))})
	if err != nil {
		return nil, 0, err
	}
	for _, text := range out.EventRecords {
		octets, err := base64.StdEncoding.DecodeString(text)
		if err != nil || len(octets) > auditlog.MaxSize {
			return nil, 0, fmt.Errorf("record %d is damaged", start+len(page))
		}
		page = append(page, octets)
	}
	return page, int(class.Value(out.TotalRecordCount)), nil
}

// ClearAudit empties the audit log and reads it again to see that it is. It returns how many records there were. What
// firmware keeps on purpose (since 12.0 the last five of the gravest events) and the record of the clearing itself stay.
func (c *Client) ClearAudit(ctx context.Context) (int, error) {
	before, err := c.readAudit(ctx)
	if err == nil {
		_, err = amt.AuditLogClearLog.Invoke(ctx, c, amt.AuditLogClearLogIn{})
	}
	var after [][]byte
	if err == nil {
		after, err = c.readAudit(ctx)
	}
	if err == nil && !wasCleared(after) {
		err = ErrDiffers
	}
	if err != nil {
		return 0, fmt.Errorf("clear audit log: %w", err)
	}
	return len(before), nil
}

// wasCleared reports whether the log holds nothing that is older than its clearing but what firmware keeps.
func wasCleared(records [][]byte) bool {
	for _, octets := range records {
		r, _, err := auditlog.Parse(octets)
		if err != nil {
			return false
		}
		if r.ID == auditlog.LogCleared {
			return true
		}
		if !r.ID.SuperCritical() {
			return false
		}
	}
	return len(records) == 0
}

// EnableAudit switches the audit log on or off, and reads its state to see that it is so.
func (c *Client) EnableAudit(ctx context.Context, on bool) error {
	want, verb := cim.RequestedStateDisabled, "disable"
	if on {
		want, verb = cim.RequestedStateEnabled, "enable"
	}
	_, err := amt.AuditLogRequestStateChange.Invoke(ctx, c, amt.AuditLogRequestStateChangeIn{RequestedState: &want})
	if err == nil {
		var now AuditState
		if now, err = c.auditState(ctx); err == nil && now.Enabled != on {
			err = ErrDiffers
		}
	}
	if err != nil {
		return fmt.Errorf("%s audit log: %w", verb, err)
	}
	return nil
}

// MaxAuditLock is how long an audit log can be locked at most.
const MaxAuditLock = 5 * time.Minute

// LockAudit keeps new records out of the log for some time, so that nothing is lost between reading and clearing it.
// While it is locked the machine refuses what it would have to log as critical. handle is 0, or that of an earlier lock
// that is to be prolonged; the result is needed to unlock. Errors wrap [ErrUsage] if d is not up to [MaxAuditLock].
func (c *Client) LockAudit(ctx context.Context, d time.Duration, handle uint32) (uint32, error) {
	return c.setAuditLock(ctx, "lock audit log", amt.AuditLogSetAuditLockFlagLock, d, handle, true)
}

// UnlockAudit has the machine log again.
func (c *Client) UnlockAudit(ctx context.Context, handle uint32) error {
	_, err := c.setAuditLock(ctx, "unlock audit log", amt.AuditLogSetAuditLockFlagUnlock, 0, handle, false)
	return err
}

// AllowUnprovision is the auditor's agreement that the machine is unprovisioned within that time.
func (c *Client) AllowUnprovision(ctx context.Context, d time.Duration) error {
	_, err := c.setAuditLock(ctx, "allow unprovisioning", amt.AuditLogSetAuditLockFlagUnprovisioningLock, d, 0, false)
	return err
}

func (c *Client) setAuditLock(ctx context.Context, what string, flag amt.AuditLogSetAuditLockFlag, d time.Duration, handle uint32, locked bool) (uint32, error) {
	in := amt.AuditLogSetAuditLockIn{Flag: &flag}
	if handle != 0 {
		in.Handle = &handle
	}
	if flag != amt.AuditLogSetAuditLockFlagUnlock {
		if d < time.Second || d > MaxAuditLock {
			return 0, fmt.Errorf("%s: %w: %v is not in 1s to %v", what, ErrUsage, d, MaxAuditLock)
		}
		in.LockTimeoutInSeconds = new(uint32(d / time.Second))
	}
	out, err := amt.AuditLogSetAuditLock.Invoke(ctx, c, in)
	if err == nil && flag != amt.AuditLogSetAuditLockFlagUnprovisioningLock {
		var now AuditState
		if now, err = c.auditState(ctx); err == nil && now.Locked != locked {
			err = ErrDiffers
		}
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", what, err)
	}
	return class.Value(out.Handle), nil
}

// SetAuditStorage says what happens when the log is full: minDays counts with restricted roll over only.
func (c *Client) SetAuditStorage(ctx context.Context, policy amt.AuditLogStoragePolicy, minDays uint8) error {
	err := func() error {
		log, err := class.Get[amt.AuditLog](ctx, c)
		if err != nil {
			return err
		}
		if log.StoragePolicy == nil {
			return fmt.Errorf("%w: the log does not roll over on this release", ErrUnsupported)
		}
		log.StoragePolicy = &policy
		if policy == amt.AuditLogStoragePolicyRestrictedRollOver {
			log.MinDaysToKeep = &minDays
		}
		if _, err := class.Put(ctx, c, log); err != nil {
			return err
		}
		now, err := class.Get[amt.AuditLog](ctx, c)
		if err == nil && class.Value(now.StoragePolicy) != policy {
			err = ErrDiffers
		}
		return err
	}()
	if err != nil {
		return fmt.Errorf("set storage of audit log: %w", err)
	}
	return nil
}

// octetsOf reads octets that come as base64 or, as some firmware gives them, as hex digits.
func octetsOf(text string, want int) []byte {
	if b, err := hex.DecodeString(text); err == nil && len(b) == want {
		return b
	}
	if b, err := base64.StdEncoding.DecodeString(text); err == nil && len(b) == want {
		return b
	}
	return nil
}
