package firmware

import (
	"context"
	"strconv"
	"strings"

	"github.com/outband/outband/wire/mei"
	"github.com/outband/outband/wire/mkhi"
)

// What the clients of the engine itself take. Source: spec mei.md sections 6 and 8.1.
const (
	mkhiMessage     = 2048 // octets
	mkhiConnections = 5
)

// serveMKHI answers what is asked of the engine itself: the versions of its parts, which are all of one release.
func (m *Machine) serveMKHI(ctx context.Context, c mei.Conn) {
	v := m.profile.firmwareVersion()
	s := mkhi.Server{Versions: []mei.FirmwareVersion{v, v, v}, OnSystem: func(o mkhi.System) {
		m.log.Info("operating system", "kind", o.Kind, "major", o.Major, "minor", o.Minor, "build", o.Build)
	}}
	if err := s.Serve(ctx, c); ctx.Err() == nil {
		m.log.Info("MKHI", "error", err)
	}
}

// firmwareVersion is the release as the engine writes it.
func (p *Profile) firmwareVersion() (v mei.FirmwareVersion) {
	for i, part := range strings.Split(p.Version+"."+p.Build, ".") {
		n, _ := strconv.ParseUint(part, 10, 16) // newProfile has looked at it
		switch i {
		case 0:
			v.Major = uint16(n)
		case 1:
			v.Minor = uint16(n)
		case 2:
			v.Hotfix = uint16(n)
		case 3:
			v.Build = uint16(n)
		}
	}
	return v
}
