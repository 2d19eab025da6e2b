package mkhi

import (
	"context"
	"fmt"

	"github.com/outband/outband/wire/mei"
)

// Versions asks for the versions of the firmware's parts: code, recovery and settings, one at least. c is a connection
// to [mei.MKHI] or [mei.MKHIFixed] on which nothing else is under way; when ctx ends first, close it.
func Versions(ctx context.Context, c mei.Conn) ([]mei.FirmwareVersion, error) {
	want := Header{Group: groupGeneral, Command: commandVersions}
	answer, err := mei.Call(ctx, c, want.Append(nil))
	if err != nil {
		return nil, fmt.Errorf("mkhi: versions: %w", err)
	}
	h, rest, err := ParseHeader(answer)
	if err != nil {
		return nil, err
	}
	if want.Answer = true; h.Group != want.Group || h.Command != want.Command || !h.Answer {
		return nil, fmt.Errorf("mkhi: versions: the answer is to another command (group %d, command %d)", h.Group, h.Command)
	}
	if h.Result != 0 {
		return nil, fmt.Errorf("mkhi: versions: refused with %d", h.Result)
	}
	return ParseVersions(rest)
}
