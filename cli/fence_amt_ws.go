package cli

import "github.com/outband/outband/fence"

// The program fence_amt_ws, as ClusterLabs has it: WS-Management on port 16992 without TLS unless told otherwise. What
// differs: any user name, TLS, a machine that sleeps counts as on, and no success without having looked again. The
// parameters are in package fence.

const fenceAMTWSPort = 16992

// asAMTWS makes an agent that of fence_amt_ws.
func asAMTWS(agent *fence.Agent) {
	agent.ShortDesc = "Fence agent for AMT (WS)"
	agent.Port = fenceAMTWSPort
	agent.PlainHTTP = true
}
