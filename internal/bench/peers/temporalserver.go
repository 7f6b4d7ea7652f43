//go:build temporal

package main

import (
	"fmt"
	"net"
	"time"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	schema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

// temporalServer is a server with all its services in this process, on a file
// that is flushed on every commit. It listens on the loopback interface only.
func temporalServer(file string) (temporal.Server, string, error) {
	ports, err := freePorts(9)
	if err != nil {
		return nil, "", err
	}
	cfg := temporalConfig(file, ports)
	store := cfg.Persistence.DataStores[sqliteplugin.PluginName].SQL
	if err := schema.SetupSchema(store); err != nil {
		return nil, "", fmt.Errorf("temporal: schema: %w", err)
	}
	space, err := schema.NewNamespaceConfig(cfg.ClusterMetadata.CurrentClusterName, temporalSpace, false, nil)
	if err != nil {
		return nil, "", err
	}
	if err := schema.CreateNamespaces(store, space); err != nil {
		return nil, "", fmt.Errorf("temporal: namespace: %w", err)
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithLogger(log.NewNoopLogger()),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithDynamicConfigClient(temporalTuning()),
	)
	return server, cfg.PublicClient.HostPort, err
}

// temporalTuning lifts the limits that would slow a benchmark down.
func temporalTuning() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		dynamicconfig.EnableEagerWorkflowStart.Key():           true,
		dynamicconfig.EnableActivityEagerExecution.Key():       true,
		dynamicconfig.FrontendRPS.Key():                        1_000_000,
		dynamicconfig.FrontendMaxNamespaceRPSPerInstance.Key(): 1_000_000,
		dynamicconfig.HistoryPersistenceMaxQPS.Key():           1_000_000,
		dynamicconfig.MatchingPersistenceMaxQPS.Key():          1_000_000,
		dynamicconfig.FrontendPersistenceMaxQPS.Key():          1_000_000,
	}
}

func temporalConfig(file string, ports []int) *config.Config {
	const host, name = "127.0.0.1", "active"
	service := func(k int) config.Service {
		return config.Service{RPC: config.RPC{GRPCPort: ports[k], MembershipPort: ports[k+4], BindOnLocalHost: true}}
	}
	front := fmt.Sprintf("%s:%d", host, ports[0])
	return &config.Config{
		Global: config.Global{
			Membership: config.Membership{MaxJoinDuration: 30 * time.Second, BroadcastAddress: host},
		},
		Persistence: config.Persistence{
			DefaultStore: sqliteplugin.PluginName, VisibilityStore: sqliteplugin.PluginName, NumHistoryShards: 4,
			DataStores: map[string]config.DataStore{sqliteplugin.PluginName: {SQL: &config.SQL{
				PluginName: sqliteplugin.PluginName, DatabaseName: file,
				ConnectAttributes: map[string]string{"mode": "rwc", "journal_mode": "wal", "synchronous": "2"},
			}}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: name, CurrentClusterName: name,
			ClusterInformation: map[string]cluster.ClusterInformation{
				name: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: front},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services: map[string]config.Service{
			"frontend": service(0), "history": service(1), "matching": service(2), "worker": service(3),
		},
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		PublicClient: config.PublicClient{HostPort: front},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
	}
}

// freePorts finds n ports of the loopback interface that nobody listens on.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
