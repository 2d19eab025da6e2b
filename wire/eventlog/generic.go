package eventlog

// genericText words the offset of a threshold or generic event, "" if it has no word. IPMI 2.0 table 42-2.
func genericText(t EventType, offset uint8) string {
	if int(t) >= len(genericOffsets) || int(offset) >= len(genericOffsets[t]) {
		return ""
	}
	return genericOffsets[t][offset]
}

// genericOffsets by event type and offset.
var genericOffsets = [...][]string{
	1: {"lower non-critical, going low", "lower non-critical, going high", "lower critical, going low", "lower critical, going high",
		"lower non-recoverable, going low", "lower non-recoverable, going high", "upper non-critical, going low", "upper non-critical, going high",
		"upper critical, going low", "upper critical, going high", "upper non-recoverable, going low", "upper non-recoverable, going high"},
	2:  {"idle", "active", "busy"},
	3:  {"state deasserted", "state asserted"},
	4:  {"no failure predicted", "failure predicted"},
	5:  {"limit not exceeded", "limit exceeded"},
	6:  {"performance met", "performance lags"},
	7:  {"OK", "non-critical, from OK", "critical, from less", "non-recoverable, from less", "non-critical, from worse", "critical, from non-recoverable", "non-recoverable", "monitor", "informational"},
	8:  {"absent", "present"},
	9:  {"disabled", "enabled"},
	10: {"running", "in test", "power off", "on line", "off line", "off duty", "degraded", "power save", "installation error"},
	11: {"fully redundant", "redundancy lost", "redundancy degraded", "not redundant, from redundant", "not redundant, enough resources",
		"not redundant, too few resources", "redundancy degraded, from fully redundant", "redundancy degraded, from not redundant"},
	12: {"device power state D0", "device power state D1", "device power state D2", "device power state D3"},
}
