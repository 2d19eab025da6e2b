package mei

import "strconv"

// A State is the state of a device, as the driver's dev_state names it.
type State uint8

// The states.
const (
	Initializing State = 0
	InitClients  State = 1 // enumerating
	Enabled      State = 2
	Resetting    State = 3
	Disabled     State = 4 // three resets in a row brought nothing
	PoweringDown State = 5
	PowerDown    State = 6
	PowerUp      State = 7
)

// String returns the name in sysfs.
func (s State) String() string {
	switch s {
	case Initializing:
		return "INITIALIZING"
	case InitClients:
		return "INIT_CLIENTS"
	case Enabled:
		return "ENABLED"
	case Resetting:
		return "RESETTING"
	case Disabled:
		return "DISABLED"
	case PoweringDown:
		return "POWERING_DOWN"
	case PowerDown:
		return "POWER_DOWN"
	case PowerUp:
		return "POWER_UP"
	}
	return "unknown (" + strconv.Itoa(int(s)) + ")"
}

// parseState reads a name from sysfs. ok is false if it is not known.
func parseState(name string) (s State, ok bool) {
	for s := range PowerUp + 1 {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
