package rfb

import (
	"bufio"
	"crypto/des"
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Security types.
const (
	securityNone = 1
	securityVNC  = 2    // a challenge, answered with DES
	securityAMT  = 0x80 // RFB 4's own; listed by AMT, taken by nobody
)

const challengeLen = 16

// readVersion reads "RFB 003.008\n" and returns 3008.
func readVersion(r io.Reader) (int, error) {
	var b [12]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	text := string(b[:])
	major, err1 := strconv.ParseUint(text[4:7], 10, 16)
	minor, err2 := strconv.ParseUint(text[8:11], 10, 16)
	if !strings.HasPrefix(text, "RFB ") || text[7] != '.' || text[11] != '\n' || err1 != nil || err2 != nil {
		return 0, fmt.Errorf("the peer does not speak RFB: %w", ErrProtocol)
	}
	return int(major*1000 + minor), nil
}

func versionText(v int) string { return fmt.Sprintf("RFB %03d.%03d\n", v/1000, v%1000) }

// common is the version that both use when the server has said v. 4.0 is AMT's, and spoken as 3.8.
func common(v int) int {
	switch {
	case v >= 3008:
		return 3008
	case v == 3007:
		return 3007
	}
	return 3003
}

// dial is the client's part of the handshake, up to and with ServerInit.
func dial(r *bufio.Reader, w io.Writer, password string, shared bool) (init ServerInit, err error) {
	v, err := readVersion(r)
	if err != nil {
		return init, err
	}
	v = common(v)
	if _, err := io.WriteString(w, versionText(v)); err != nil {
		return init, err
	}
	security, err := chooseSecurity(r, w, v, password != "")
	if err != nil {
		return init, err
	}
	if security == securityVNC {
		var challenge [challengeLen]byte
		if _, err := io.ReadFull(r, challenge[:]); err != nil {
			return init, err
		}
		answer, err := respond(challenge, password)
		if err != nil {
			return init, err
		}
		if _, err := w.Write(answer[:]); err != nil {
			return init, err
		}
	}
	if security == securityVNC || v >= 3008 {
		result, err := readU32(r)
		if err != nil {
			return init, err
		}
		if result != 0 {
			if v < 3008 {
				return init, ErrDenied
			}
			return init, readReason(r)
		}
	}
	if _, err := w.Write([]byte{bit(shared)}); err != nil {
		return init, err
	}
	return readServerInit(r)
}

func chooseSecurity(r *bufio.Reader, w io.Writer, v int, password bool) (byte, error) {
	want := func(offered []byte) (byte, error) {
		if slices.Contains(offered, securityNone) && !(password && slices.Contains(offered, securityVNC)) {
			return securityNone, nil
		}
		if slices.Contains(offered, securityVNC) {
			if !password {
				return 0, fmt.Errorf("the machine wants the password of its port for VNC: %w", ErrSecurity)
			}
			return securityVNC, nil
		}
		return 0, fmt.Errorf("the peer offers kinds %v: %w", offered, ErrSecurity)
	}
	if v < 3007 {
		kind, err := readU32(r)
		if err != nil {
			return 0, err
		}
		if kind == 0 {
			return 0, readReason(r)
		}
		return want([]byte{byte(min(kind, 255))})
	}
	n, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, readReason(r)
	}
	offered := make([]byte, n)
	if _, err := io.ReadFull(r, offered); err != nil {
		return 0, err
	}
	kind, err := want(offered)
	if err == nil {
		_, err = w.Write([]byte{kind})
	}
	return kind, err
}

func readU32(r io.Reader) (uint32, error) {
	var b [4]byte
	_, err := io.ReadFull(r, b[:])
	return binary.BigEndian.Uint32(b[:]), err
}

// readReason reads why the peer refuses.
func readReason(r io.Reader) error {
	n, err := readU32(r)
	if err != nil {
		return ErrDenied // some close without a word
	}
	if n > MaxReason {
		return fmt.Errorf("%w; its reason has %d bytes: %w", ErrDenied, n, ErrTooLong)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil || n == 0 {
		return ErrDenied
	}
	return fmt.Errorf("%w: %q", ErrDenied, text)
}

func readServerInit(r io.Reader) (m ServerInit, err error) {
	var b [serverInitLen]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return m, err
	}
	m.Width, m.Height = binary.BigEndian.Uint16(b[0:]), binary.BigEndian.Uint16(b[2:])
	if m.Format, err = ParsePixelFormat(b[4:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(b[20:])
	if n > MaxName {
		return m, fmt.Errorf("name of %d bytes: %w", n, ErrTooLong)
	}
	name := make([]byte, n)
	_, err = io.ReadFull(r, name)
	m.Name = string(name)
	return m, err
}

// A welcome is what a server says of itself in the handshake.
type welcome struct {
	version  int    // 3008, or 4000 as old AMT
	security []byte // what it lists when there is no password; default None
	password string // not empty: the VNC challenge
}

// accept is the server's part of the handshake, up to ClientInit.
func (s welcome) accept(r *bufio.Reader, w io.Writer) error {
	if _, err := io.WriteString(w, versionText(s.version)); err != nil {
		return err
	}
	v, err := readVersion(r)
	if err != nil {
		return err
	}
	v = common(v)
	list := s.security
	if s.password != "" {
		list = []byte{securityVNC}
	} else if list == nil {
		list = []byte{securityNone}
	}
	kind := list[0]
	if v < 3007 {
		_, err = w.Write([]byte{0, 0, 0, kind})
	} else if _, err = w.Write(append([]byte{byte(len(list))}, list...)); err == nil {
		kind, err = r.ReadByte()
	}
	if err != nil {
		return err
	}
	if kind != list[0] {
		return s.refuse(w, v, fmt.Sprintf("security type %d was not offered", kind), ErrSecurity)
	}
	if kind == securityVNC {
		if ok, err := s.challenge(r, w); err != nil || !ok {
			if err == nil {
				err = s.refuse(w, v, "wrong password", ErrDenied)
			}
			return err
		}
	}
	if kind == securityVNC || v >= 3008 {
		if _, err := w.Write(make([]byte, 4)); err != nil {
			return err
		}
	}
	_, err = r.ReadByte() // ClientInit: shared or not
	return err
}

func (s welcome) refuse(w io.Writer, v int, text string, err error) error {
	b := []byte{0, 0, 0, 1}
	if v >= 3008 {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	if _, e := w.Write(b); e != nil {
		return e
	}
	return fmt.Errorf("%s: %w", text, err)
}

func (s welcome) challenge(r io.Reader, w io.Writer) (bool, error) {
	var challenge, got [challengeLen]byte
	rand.Read(challenge[:])
	if _, err := w.Write(challenge[:]); err != nil {
		return false, err
	}
	if _, err := io.ReadFull(r, got[:]); err != nil {
		return false, err
	}
	want, err := respond(challenge, s.password)
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1, err
}

// respond answers a challenge: DES of its two halves, under the first 8 characters of the password with the bits of each
// reversed. Source: RFC 6143 7.2.2 and erratum.
func respond(challenge [challengeLen]byte, password string) (answer [challengeLen]byte, err error) {
	var key [8]byte
	copy(key[:], password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	block, err := des.NewCipher(key[:])
	if err != nil {
		return answer, err
	}
	block.Encrypt(answer[:8], challenge[:8])
	block.Encrypt(answer[8:], challenge[8:])
	return answer, nil
}

// cut makes of the end of a stream, where more had to come, an [ErrCut].
func cut(err error) error {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return fmt.Errorf("%w: %w", ErrCut, io.ErrUnexpectedEOF)
		}
	}
	return err
}
