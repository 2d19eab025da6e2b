package firmware

import "strings"

// realmTable says which realms may read and write the classes whose names begin so; the first line that fits decides.
// PT administration may do everything everywhere and is not listed. Sources: the realm names of AMT_AuthorizationService
// and, per line, spec inventory-events-policies.md and power-and-boot.md; which realms read a class is mostly likely,
// not certain.
var realmTable = []struct {
	prefix      string
	read, write RealmSet
}{
	// power and boot: power-and-boot.md section 2
	{"CIM_PowerManagement", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"CIM_AssociatedPowerManagementService", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"CIM_ServiceAvailableToElement", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"IPS_PowerManagement", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"CIM_Boot", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"AMT_Boot", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"IPS_HostBootReason", Realms(RealmRemoteControl, RealmGeneralInfo), 0},
	{"AMT_AlarmClockService", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},
	{"IPS_AlarmClock", Realms(RealmRemoteControl, RealmGeneralInfo), Realms(RealmRemoteControl)},

	// redirection
	{"AMT_RedirectionService", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"CIM_RedirectionService", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"CIM_KVMRedirectionSAP", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"IPS_KVM", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"IPS_Kvm", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"IPS_Sol", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"IPS_Ider", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"IPS_OptInService", Realms(RealmRedirection, RealmRemoteControl, RealmGeneralInfo), Realms(RealmRedirection, RealmRemoteControl)},
	{"IPS_Screen", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},
	{"IPS_SecIOService", Realms(RealmRedirection, RealmGeneralInfo), Realms(RealmRedirection)},

	// inventory: inventory-events-policies.md section 1
	{"CIM_Chassis", inventory, 0},
	{"CIM_Card", inventory, 0},
	{"CIM_Chip", inventory, 0},
	{"CIM_Physical", inventory, 0},
	{"CIM_Processor", inventory, 0},
	{"CIM_MediaAccessDevice", inventory, 0},
	{"CIM_BIOS", inventory, 0},
	{"CIM_Sensor", inventory, 0},
	{"CIM_Fan", inventory, 0},
	{"CIM_PowerSupply", inventory, 0},
	{"CIM_Battery", inventory, 0},
	{"CIM_SystemPackaging", inventory, 0},
	{"CIM_ComputerSystemPackage", inventory, 0},
	{"AMT_AssetTable", inventory, Realms(RealmHardwareAsset)},
	{"AMT_PCIDevice", inventory, 0},

	// events: section 4
	{"AMT_MessageLog", Realms(RealmEventManager, RealmEventLogReader), Realms(RealmEventManager, RealmEventLogReader)},
	{"AMT_Event", Realms(RealmEventManager), Realms(RealmEventManager)},
	{"AMT_PET", Realms(RealmEventManager), Realms(RealmEventManager)},
	{"AMT_SNMP", Realms(RealmEventManager), Realms(RealmEventManager)},
	{"CIM_FilterCollection", Realms(RealmEventManager, RealmGeneralInfo), Realms(RealmEventManager)},
	{"CIM_ListenerDestination", Realms(RealmEventManager, RealmGeneralInfo), Realms(RealmEventManager)},
	{"CIM_IndicationService", Realms(RealmEventManager, RealmGeneralInfo), Realms(RealmEventManager)},
	{"AMT_Audit", Realms(RealmAuditLog, RealmGeneralInfo), Realms(RealmAuditLog)},

	// storage, agents, System Defense, endpoint access
	{"AMT_ThirdPartyDataStorageAdministrationService", Realms(RealmStorageAdmin), Realms(RealmStorageAdmin)},
	{"AMT_ThirdPartyDataStorageService", Realms(RealmStorage), Realms(RealmStorage)},
	{"AMT_AgentPresence", agentRealms, agentRealms},
	{"IPS_WatchDogAction", Realms(RealmAgentRemote), Realms(RealmAgentRemote)},
	{"AMT_StateTransitionCondition", Realms(RealmAgentRemote), Realms(RealmAgentRemote)},
	{"CIM_ConcreteDependency", general | Realms(RealmAgentRemote), 0},
	{"AMT_SystemDefense", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_NetworkPort", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_NetworkFilter", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_IPHeadersFilter", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_Hdr8021Filter", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_Heuristic", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_ActiveFilterStatistics", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_FilterInSystemDefensePolicy", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_EnvironmentDetectionInterfacePolicy", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_GeneralSystemDefense", Realms(RealmCircuitBreaker), Realms(RealmCircuitBreaker)},
	{"AMT_EndpointAccessControl", Realms(RealmEndpointAdmin, RealmEndpointAccess), Realms(RealmEndpointAdmin)},

	// time, users, general
	{"AMT_TimeSynchronizationService", Realms(RealmNetworkTime, RealmGeneralInfo), Realms(RealmNetworkTime)},
	{"IPS_HostIPSettings", general, Realms(RealmLocalSystem)}, // LMS writes it: spec lms.md section 9.2
	// LMS writes the host's profiles: spec wireless.md section 7.6. The administrator's are not for it: see itsProfile.
	{"AMT_WiFiPortConfigurationService", general, Realms(RealmLocalSystem)},
	{"CIM_WiFiEndpointSettings", general, Realms(RealmLocalSystem)},
	{"AMT_AuthorizationService", Realms(RealmAccessControl, RealmGeneralInfo), Realms(RealmAccessControl)},
	{"CIM_Account", Realms(RealmAccessControl, RealmGeneralInfo), Realms(RealmAccessControl)},
	{"", general, 0},
}

var (
	general   = Realms(RealmGeneralInfo, RealmLocalSystem)
	inventory = Realms(RealmHardwareAsset, RealmGeneralInfo)

	agentRealms = Realms(RealmAgentRemote, RealmAgentLocal, RealmLocalSystem) // which of them may what: see mayAgents
)

// realmsOf returns the realms that may read a class, and those that may write it and call its methods.
func realmsOf(class string) (read, write RealmSet) {
	for _, line := range realmTable {
		if strings.HasPrefix(class, line.prefix) {
			return line.read, line.write
		}
	}
	return 0, 0
}

// readingMethods are methods that change nothing: who may read their class may call them. Source: spec
// inventory-events-policies.md section 3.
var readingMethods = []struct{ class, method string }{{"AMT_AuditLog", "ReadRecords"}}

// realmsFor returns the realms that may call a method.
func (ci *classInfo) realmsFor(method string) RealmSet {
	for _, r := range readingMethods {
		if r.class == ci.Name && r.method == method {
			return ci.read | ci.write
		}
	}
	return ci.write
}
