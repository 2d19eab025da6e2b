package mei

import (
	"fmt"
	"strconv"
)

// Commands of the host bus messages (HBM). Bit 7 is set in answers. To add one: a number here, its size in size, a case
// in Parse, and a struct with Append.
const (
	cmdStart        = 0x01 // HOST_START_REQ_CMD
	cmdStop         = 0x02 // HOST_STOP_REQ_CMD
	cmdMEStop       = 0x03 // ME_STOP_REQ_CMD
	cmdEnumerate    = 0x04 // HOST_ENUM_REQ_CMD
	cmdProperties   = 0x05 // HOST_CLIENT_PROPERTIES_REQ_CMD
	cmdConnect      = 0x06 // CLIENT_CONNECT_REQ_CMD
	cmdDisconnect   = 0x07 // CLIENT_DISCONNECT_REQ_CMD, either way
	cmdFlowControl  = 0x08 // MEI_FLOW_CONTROL_CMD, either way
	cmdGateEntry    = 0x0a // MEI_PG_ISOLATION_ENTRY_REQ_CMD
	cmdGateExit     = 0x0b // MEI_PG_ISOLATION_EXIT_REQ_CMD, by the ME
	cmdAddClient    = 0x0f // MEI_HBM_ADD_CLIENT_REQ_CMD, by the ME
	cmdNotify       = 0x10 // MEI_HBM_NOTIFY_REQ_CMD
	cmdNotification = 0x11 // MEI_HBM_NOTIFICATION_CMD
	cmdDMASetup     = 0x12 // MEI_HBM_DMA_SETUP_REQ_CMD
	cmdCapabilities = 0x13 // MEI_HBM_CAPABILITIES_REQ_CMD
	cmdClientMap    = 0x14 // MEI_HBM_CLIENT_DMA_MAP_REQ_CMD
	cmdClientUnmap  = 0x15 // MEI_HBM_CLIENT_DMA_UNMAP_REQ_CMD
	answer          = 0x80
)

// size returns the least length of a command's message, 0 if the command is not known. Longer ones are taken, as new
// firmware may add fields.
func size(cmd byte) int {
	switch cmd {
	case cmdStart, cmdStart | answer, cmdStop, cmdStop | answer, cmdMEStop, cmdEnumerate, cmdProperties, cmdConnect,
		cmdConnect | answer, cmdDisconnect, cmdDisconnect | answer, cmdGateEntry, cmdGateEntry | answer, cmdGateExit,
		cmdGateExit | answer, cmdAddClient | answer, cmdNotify, cmdNotification, cmdDMASetup | answer, cmdCapabilities,
		cmdCapabilities | answer, cmdClientMap | answer, cmdClientUnmap, cmdClientUnmap | answer:
		return 4
	case cmdFlowControl, cmdNotify | answer:
		return 8
	case cmdClientMap:
		return 16
	case cmdProperties | answer, cmdAddClient:
		return 4 + propertiesLen
	case cmdEnumerate | answer:
		return 36
	case cmdDMASetup:
		return 40
	}
	return 0
}

// A Message is one HBM message, such as [ConnectRequest]. Append writes it without the packet around it.
type Message interface{ Append(b []byte) []byte }

// Parse reads an HBM message, the whole payload of a packet from address 0 to address 0. Errors wrap ErrShort or, for an
// unknown command, ErrCorrupt.
func Parse(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("mei: host bus message: %w (empty)", ErrShort)
	}
	want := size(b[0])
	if want == 0 {
		return nil, fmt.Errorf("mei: host bus message: %w: unknown command %#02x", ErrCorrupt, b[0])
	}
	if len(b) < want {
		return nil, fmt.Errorf("mei: host bus message %#02x: %w (%d of %d bytes)", b[0], ErrShort, len(b), want)
	}
	switch b[0] {
	case cmdStart:
		return parseStartRequest(b), nil
	case cmdStart | answer:
		return parseStartReply(b), nil
	case cmdStop:
		return StopRequest{StopReason(b[1])}, nil
	case cmdStop | answer:
		return StopReply{}, nil
	case cmdMEStop:
		return MEStopRequest{StopReason(b[1])}, nil
	case cmdEnumerate:
		return parseEnumerateRequest(b), nil
	case cmdEnumerate | answer:
		return parseEnumerateReply(b), nil
	case cmdProperties:
		return PropertiesRequest{b[1]}, nil
	case cmdProperties | answer:
		return parsePropertiesReply(b)
	case cmdConnect:
		return ConnectRequest{b[1], b[2]}, nil
	case cmdConnect | answer:
		return ConnectReply{b[1], b[2], Status(b[3])}, nil
	case cmdDisconnect:
		return DisconnectRequest{b[1], b[2]}, nil
	case cmdDisconnect | answer:
		return DisconnectReply{b[1], b[2], Status(b[3])}, nil
	case cmdFlowControl:
		return FlowControl{b[1], b[2]}, nil
	case cmdGateEntry:
		return GateEntryRequest{}, nil
	case cmdGateEntry | answer:
		return GateEntryReply{}, nil
	case cmdGateExit:
		return GateExitRequest{}, nil
	case cmdGateExit | answer:
		return GateExitReply{}, nil
	case cmdAddClient:
		return parseAddClientRequest(b)
	case cmdAddClient | answer:
		return AddClientReply{b[1], Status(b[2])}, nil
	case cmdNotify:
		return NotifyRequest{b[1], b[2], b[3] != 0}, nil
	case cmdNotify | answer:
		return NotifyReply{b[1], b[2], Status(b[3]), b[4] != 0}, nil
	case cmdNotification:
		return Notification{b[1], b[2]}, nil
	case cmdDMASetup:
		return parseDMASetupRequest(b), nil
	case cmdDMASetup | answer:
		return DMASetupReply{Status(b[1])}, nil
	case cmdCapabilities:
		return CapabilitiesRequest{parseCapabilities(b)}, nil
	case cmdCapabilities | answer:
		return CapabilitiesReply{parseCapabilities(b)}, nil
	case cmdClientMap:
		return parseClientMapRequest(b), nil
	case cmdClientMap | answer:
		return ClientMapReply{Status(b[1])}, nil
	case cmdClientUnmap:
		return ClientUnmapRequest{Status(b[1])}, nil
	default: // size knows no other
		return ClientUnmapReply{Status(b[1])}, nil
	}
}

// A Status is the answer to an HBM request.
type Status uint8

// The statuses.
const (
	StatusSuccess        Status = 0
	StatusNotFound       Status = 1 // no such client
	StatusAlreadyExists  Status = 2 // already connected
	StatusRejected       Status = 3 // no connection left
	StatusInvalid        Status = 4
	StatusNotAllowed     Status = 5
	StatusAlreadyStarted Status = 6
	StatusNotStarted     Status = 7
)

func (s Status) String() string {
	switch s {
	case StatusSuccess:
		return "success"
	case StatusNotFound:
		return "client not found"
	case StatusAlreadyExists:
		return "already connected"
	case StatusRejected:
		return "rejected"
	case StatusInvalid:
		return "invalid parameter"
	case StatusNotAllowed:
		return "not allowed"
	case StatusAlreadyStarted:
		return "already started"
	case StatusNotStarted:
		return "not started"
	}
	return "unknown (" + strconv.Itoa(int(s)) + ")"
}

// A Version is a version of HBM.
type Version struct{ Major, Minor uint8 }

// Least tells whether v is at least major.minor.
func (v Version) Least(major, minor uint8) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// latest is what both ends speak by default: the driver's version since Linux 5.10.
var latest = Version{2, 2}
