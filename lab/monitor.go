package lab

import (
	"fmt"

	"github.com/outband/outband/virtual/firmware"
	"github.com/outband/outband/wire/rfb"
)

// parseMonitors reads sizes such as "1920x1080".
func parseMonitors(sizes []string) (list []firmware.Monitor, err error) {
	const most = 4
	if len(sizes) > most {
		return nil, fmt.Errorf("monitors: %d are more than the %d that a machine can tell of", len(sizes), most)
	}
	for _, size := range sizes {
		var m firmware.Monitor
		if n, err := fmt.Sscanf(size, "%dx%d", &m.W, &m.H); n != 2 || err != nil {
			return nil, fmt.Errorf("monitors: %q is no size such as 1920x1080", size)
		}
		if err := rfb.CheckSize(m.W, m.H); err != nil {
			return nil, fmt.Errorf("monitors: %w", err)
		}
		list = append(list, m)
	}
	return list, nil
}
