package conformance

import (
	"context"
	"errors"
	"strconv"

	"github.com/outband/outband/class"
	"github.com/outband/outband/class/amt"
	"github.com/outband/outband/class/cim"
	"github.com/outband/outband/class/ips"
	"github.com/outband/outband/wire/status"
	"github.com/outband/outband/wire/wsman"
)

// outputs has one entry for each method whose output was recorded, by "Class.Method". It calls the method as a console
// does, with the recorded element as the answer, and returns the elements that what came out of the call is made of.
var outputs = outputTable(
	output(amt.AlarmClockServiceAddAlarm),
	output(amt.AuditLogReadRecords),
	output(amt.AuthorizationServiceAddUserAclEntryEx),
	output(amt.AuthorizationServiceEnumerateUserAclEntries),
	output(amt.AuthorizationServiceGetAclEnabledState),
	output(amt.AuthorizationServiceGetAdminAclEntry),
	output(amt.AuthorizationServiceGetAdminAclEntryStatus),
	output(amt.AuthorizationServiceGetAdminNetAclEntryStatus),
	output(amt.AuthorizationServiceGetUserAclEntryEx),
	output(amt.AuthorizationServiceRemoveUserAclEntry),
	output(amt.AuthorizationServiceSetAclEnabledState),
	output(amt.AuthorizationServiceSetAdminAclEntryEx),
	output(amt.KerberosSettingDataGetCredentialCacheState),
	output(amt.MessageLogGetRecords),
	output(amt.MessageLogPositionToFirstRecord),
	output(amt.PublicKeyManagementServiceAddCertificate),
	output(amt.PublicKeyManagementServiceAddKey),
	output(amt.PublicKeyManagementServiceAddTrustedRootCertificate),
	output(amt.PublicKeyManagementServiceGenerateKeyPair),
	output(amt.PublicKeyManagementServiceGeneratePKCS10RequestEx),
	output(amt.RedirectionServiceRequestStateChange),
	output(amt.RemoteAccessServiceAddMpServer),
	output(amt.RemoteAccessServiceAddRemoteAccessPolicyRule),
	output(amt.SetupAndConfigurationServiceCommitChanges),
	output(amt.SetupAndConfigurationServiceGetUuid),
	output(amt.SetupAndConfigurationServicePartialUnprovision),
	output(amt.SetupAndConfigurationServiceSetMEBxPassword),
	output(amt.SetupAndConfigurationServiceUnprovision),
	output(amt.TimeSynchronizationServiceGetLowAccuracyTimeSynch),
	output(amt.TimeSynchronizationServiceSetHighAccuracyTimeSynch),
	output(amt.UserInitiatedConnectionServiceRequestStateChange),
	output(amt.WiFiPortConfigurationServiceAddWiFiSettings),
	output(amt.WiFiPortConfigurationServiceUpdateWiFiSettings),
	output(cim.BootConfigSettingChangeBootOrder),
	output(cim.BootServiceRequestStateChange),
	output(cim.BootServiceSetBootConfigRole),
	output(cim.PowerManagementServiceRequestPowerStateChange),
	output(cim.WiFiPortRequestStateChange),
	output(ips.HTTPProxyServiceAddProxyAccessPoint),
	output(ips.HostBasedSetupServiceAddNextCertInChain),
	output(ips.HostBasedSetupServiceAdminSetup),
	output(ips.HostBasedSetupServiceSetup),
	output(ips.HostBasedSetupServiceUpgradeClientToAdmin),
	output(ips.IEEE8021xSettingsSetCertificates),
	output(ips.OptInServiceCancelOptIn),
	output(ips.OptInServiceSendOptInCode),
	output(ips.OptInServiceStartOptIn),
	output(ips.PowerManagementServiceRequestOSPowerSavingStateChange),
)

type outputFunc func(output *wsman.Element) ([]wsman.Element, error)

type namedOutput struct {
	op string
	outputFunc
}

func outputTable(list ...namedOutput) map[string]outputFunc {
	table := make(map[string]outputFunc)
	for _, o := range list {
		table[o.op] = o.outputFunc
	}
	return table
}

// answer is a machine that always answers with the same body.
type answer struct{ body *wsman.Element }

func (a answer) RoundTrip(context.Context, *wsman.Request) (*wsman.Response, error) {
	return &wsman.Response{Body: a.body}, nil
}

func output[In, Out any](m class.Method[In, Out]) namedOutput {
	return namedOutput{m.Op(), func(recorded *wsman.Element) ([]wsman.Element, error) {
		var in In
		out, err := m.Invoke(context.Background(), answer{recorded}, in)
		code := status.Success
		var refused *status.Error
		if errors.As(err, &refused) {
			code = refused.Code
		} else if err != nil {
			return nil, err
		}
		b := class.NewBuilder(m.Class, 8)
		m.BuildOut(&out, b)
		value := wsman.El(recorded.Space, "ReturnValue", strconv.FormatUint(uint64(code), 10))
		return append(b.Elements(), value), nil
	}}
}
