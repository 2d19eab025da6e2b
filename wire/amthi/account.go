package amthi

// The account for programs on the machine itself: command 67.

// Reserved40 is 40 bytes of nothing, which the request has.
type Reserved40 struct{}

func (Reserved40) Append(b []byte) []byte { return append(b, make([]byte, 40)...) }
func reserved40(r *reader) (v Reserved40) { r.take(40); return v }

// A LocalAccount is valid for WS-Management over the local ports only; its password lasts until the ME restarts. It
// prints without the password.
type LocalAccount struct{ User, Password string }

const (
	accountLen = 33 // user or password with NUL
	accountPad = 2
)

func (v LocalAccount) Append(b []byte) []byte {
	b = appendPadded(appendPadded(b, v.User, accountLen), v.Password, accountLen)
	return append(b, make([]byte, accountPad)...)
}

func localAccount(r *reader) LocalAccount {
	return LocalAccount{r.padded(accountLen), r.padded(accountLen)}
}

func (v LocalAccount) String() string   { return v.User }
func (v LocalAccount) GoString() string { return "amthi.LocalAccount{" + v.User + "}" }
