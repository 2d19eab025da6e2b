package setupbin

import "fmt"

// DefaultPassword is the MEBx password of a machine as it leaves the factory.
const DefaultPassword = "admin"

// Limits of a password, in characters. MeshCentral allows 16 at most.
const (
	MinPassword = 8
	MaxPassword = 32
)

// CheckPassword tells whether MEBx takes a new password: 8 to 32 printable ASCII characters with a lower-case and an
// upper-case letter, a digit and a special character, and none of " , : in it. An underscore counts as a letter. The
// firmware does not check what is set by way of a hash, so programs must. The error wraps [ErrValue] and does not tell
// the password.
func CheckPassword(password string) error {
	bad := func(why string) error { return fmt.Errorf("setupbin: password: %w: %s", ErrValue, why) }
	if len(password) < MinPassword || len(password) > MaxPassword {
		return bad(fmt.Sprintf("%d characters, want %d to %d", len(password), MinPassword, MaxPassword))
	}
	var lower, upper, digit, special bool
	for _, c := range []byte(password) {
		switch {
		case c < ' ' || c > '~':
			return bad("only printable ASCII characters")
		case c == '"' || c == ',' || c == ':':
			return bad(`none of the characters " , :`)
		case 'a' <= c && c <= 'z':
			lower = true
		case 'A' <= c && c <= 'Z':
			upper = true
		case '0' <= c && c <= '9':
			digit = true
		case c != '_':
			special = true
		}
	}
	switch {
	case !lower:
		return bad("no lower-case letter")
	case !upper:
		return bad("no upper-case letter")
	case !digit:
		return bad("no digit")
	case !special:
		return bad("no special character")
	}
	return nil
}
