package chart_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/labels"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

func TestEachReplicaHasAVolumeOfItsOwn(t *testing.T) {
	set := the[*apps.StatefulSet](t, release(t, example(t, "two-replicas", `persistence={"size": "5Gi", "storageClass": "fast"}`)), "pdhook")
	if *set.Spec.Replicas != 2 || set.Spec.PodManagementPolicy != apps.ParallelPodManagement {
		t.Errorf("got %d replicas %s, want 2 that start side by side", *set.Spec.Replicas, set.Spec.PodManagementPolicy)
	}
	if len(set.Spec.VolumeClaimTemplates) != 1 {
		t.Fatalf("got %d claims, want one", len(set.Spec.VolumeClaimTemplates))
	}
	claim := set.Spec.VolumeClaimTemplates[0]
	size := claim.Spec.Resources.Requests[core.ResourceStorage]
	if claim.Name != "data" || claim.Spec.AccessModes[0] != core.ReadWriteOncePod || size.String() != "5Gi" || *claim.Spec.StorageClassName != "fast" {
		t.Errorf("got claim %+v", claim)
	}
}

func TestWithoutPersistenceADeploymentStopsTheOldPodFirst(t *testing.T) {
	all := release(t, example(t, "no-persistence"))
	if sets := every[*apps.StatefulSet](all); len(sets) > 0 {
		t.Error("got a StatefulSet too")
	}
	if got := the[*apps.Deployment](t, all, "pdhook").Spec.Strategy.Type; got != apps.RecreateDeploymentStrategyType {
		t.Errorf("got strategy %s, want Recreate", got)
	}
	if volume(t, all.pod(t).Spec, "data").EmptyDir == nil {
		t.Error("got no emptyDir for what pdhook writes")
	}
}

func TestWhateverIsWrittenGoesToTheVolume(t *testing.T) {
	for _, name := range []string{"minimal", "no-persistence"} {
		for _, m := range release(t, example(t, name)).pod(t).Spec.Containers[0].VolumeMounts {
			if writable := m.Name == "data"; writable == m.ReadOnly || writable && m.MountPath != "/var/lib/pdhook" {
				t.Errorf("%s: got mount %+v", name, m)
			}
		}
	}
}

func TestThePodGetsNothingFromTheClusterThatItDoesNotNeed(t *testing.T) {
	all := release(t, example(t, "minimal"))
	pod := all.pod(t).Spec
	if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
		t.Error("got variables of services, which may look like pdhook's own")
	}
	account := the[*core.ServiceAccount](t, all, "pdhook")
	if *pod.AutomountServiceAccountToken || *account.AutomountServiceAccountToken || pod.ServiceAccountName != account.Name {
		t.Error("got a token of the service account, which pdhook never uses")
	}
	if memory := pod.Containers[0].Resources.Limits.Memory().String(); memory != "128Mi" {
		t.Errorf("got a memory limit of %s, want 128Mi", memory)
	}
	if *pod.TerminationGracePeriodSeconds <= 20 {
		t.Errorf("got %d s to stop in, want more than pdhook's own 20 s", *pod.TerminationGracePeriodSeconds)
	}
}

func TestAClusterMayChooseUserAndGroup(t *testing.T) {
	pod := release(t, example(t, "minimal", `podSecurityContext={"runAsUser": null, "runAsGroup": null, "fsGroup": null}`)).pod(t).Spec
	if s := pod.SecurityContext; s.RunAsUser != nil || s.RunAsGroup != nil || s.FSGroup != nil || !*s.RunAsNonRoot {
		t.Errorf("got %+v, want no user and no group, and not root", s)
	}
}

func TestAnExistingServiceAccountIsUsed(t *testing.T) {
	all := release(t, example(t, "minimal", `serviceAccount={"create": false, "name": "existing"}`))
	if len(every[*core.ServiceAccount](all)) > 0 || all.pod(t).Spec.ServiceAccountName != "existing" {
		t.Error("want the service account that exists, and no other")
	}
}

func TestOnlyTheWebhookEndpointIsPublished(t *testing.T) {
	all := release(t, example(t, "ingress-nginx", `webhook.path="/hooks/pd"`, `service.port=80`))
	ingress := the[*networking.Ingress](t, all, "pdhook")
	paths := ingress.Spec.Rules[0].HTTP.Paths
	if len(ingress.Spec.Rules) != 1 || len(paths) != 1 || paths[0].Path != "/hooks/pd" || *paths[0].PathType != networking.PathTypeExact {
		t.Errorf("the ingress publishes %+v", paths)
	}
	service := the[*core.Service](t, all, paths[0].Backend.Service.Name)
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Name != paths[0].Backend.Service.Port.Name || service.Spec.Ports[0].Port != 80 {
		t.Errorf("the service publishes %+v", service.Spec.Ports)
	}
	if admin := the[*core.Service](t, all, "pdhook-admin"); admin.Spec.ClusterIP != core.ClusterIPNone || !admin.Spec.PublishNotReadyAddresses {
		t.Errorf("got admin service %+v, want it headless, also for pods that are not ready", admin.Spec)
	}
}

func TestTheGatewayLeadsToTheWebhookEndpoint(t *testing.T) {
	all := release(t, example(t, "gateway"))
	spec := the[*gateway.HTTPRoute](t, all, "pdhook").Spec
	match, to := spec.Rules[0].Matches, spec.Rules[0].BackendRefs[0]
	if len(match) != 1 || *match[0].Path.Type != gateway.PathMatchExact || *match[0].Path.Value != "/webhooks/pagerduty" {
		t.Errorf("the route takes %+v", match)
	}
	if service := the[*core.Service](t, all, string(to.Name)); service.Spec.Ports[0].Port != *to.Port {
		t.Errorf("the route leads to port %d of %s, which has %+v", *to.Port, to.Name, service.Spec.Ports)
	}
	if spec.ParentRefs[0].Name != "public" || spec.Hostnames[0] != "pdhook.example.com" {
		t.Errorf("got route %+v", spec)
	}
}

func TestPrometheusMeasuresEachReplicaOnce(t *testing.T) {
	all := release(t, example(t, "monitoring", `serviceMonitor.interval="15s"`))
	monitor := the[*monitoring.ServiceMonitor](t, all, "pdhook")
	var measured []string
	for _, service := range every[*core.Service](all) {
		if labels.SelectorFromSet(monitor.Spec.Selector.MatchLabels).Matches(labels.Set(service.Labels)) {
			measured = append(measured, service.Name)
			if service.Spec.Ports[0].Name != monitor.Spec.Endpoints[0].Port {
				t.Errorf("%s has no port %s", service.Name, monitor.Spec.Endpoints[0].Port)
			}
		}
	}
	if strings.Join(measured, " ") != "pdhook-admin" {
		t.Errorf("the monitor selects %v, want pdhook-admin alone", measured)
	}
	if e := monitor.Spec.Endpoints[0]; e.Path != "/metrics" || e.Interval != "15s" || monitor.Labels["release"] != "prometheus" {
		t.Errorf("got endpoint %+v, labels %v", e, monitor.Labels)
	}
}

func TestTheAlertsAreThoseOfThisRepository(t *testing.T) {
	ours, err := os.ReadFile("../../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	copied, err := os.ReadFile(filepath.Join(folder, "files/alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if string(copied) != string(ours) {
		t.Error("files/alerts.yaml differs: make chart-files copies deploy/prometheus/alerts.yaml")
	}
	rule := the[*monitoring.PrometheusRule](t, release(t, example(t, "monitoring")), "pdhook")
	alerts := 0
	for _, group := range rule.Spec.Groups {
		alerts += len(group.Rules)
	}
	if want := strings.Count(string(ours), "- alert: "); alerts != want || rule.Labels["release"] != "prometheus" {
		t.Errorf("got %d alerts with labels %v, want %d", alerts, rule.Labels, want)
	}
}

func TestTheNetworkPolicyLetsThroughWhatPdhookNeeds(t *testing.T) {
	spec := the[*networking.NetworkPolicy](t, release(t, example(t, "network-policy", `teleport.address="auth.example.com:3025"`)), "pdhook").Spec
	if got := reached(spec); got != "53/UDP 53/TCP 443/TCP 3025/TCP" {
		t.Errorf("pdhook reaches %s, want DNS, PagerDuty and the auth server", got)
	}
	if len(spec.Ingress) != 2 || spec.Ingress[0].Ports[0].Port.StrVal != "webhook" || spec.Ingress[1].Ports[0].Port.StrVal != "admin" {
		t.Fatalf("got ingress %+v", spec.Ingress)
	}
	for i, want := range []string{"ingress-nginx", "monitoring"} {
		if got := spec.Ingress[i].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]; got != want {
			t.Errorf("got port %s open to %s, want %s", spec.Ingress[i].Ports[0].Port, got, want)
		}
	}
	closed := the[*networking.NetworkPolicy](t, release(t, example(t, "network-policy", "networkPolicy.adminFrom=[]")), "pdhook").Spec
	if len(closed.Ingress) != 1 {
		t.Errorf("nobody is named, and the admin port is open: %+v", closed.Ingress)
	}
	if got := reached(closed); got != "53/UDP 53/TCP 443/TCP" {
		t.Errorf("pdhook reaches %s, want DNS and, at one port, PagerDuty and the proxy", got)
	}
}

// reached lists the ports to which a policy lets the pod connect.
func reached(spec networking.NetworkPolicySpec) string {
	var ports []string
	for _, rule := range spec.Egress {
		for _, p := range rule.Ports {
			ports = append(ports, p.Port.String()+"/"+string(*p.Protocol))
		}
	}
	return strings.Join(ports, " ")
}

func TestADisruptionBudgetTakesEitherForm(t *testing.T) {
	budget := func(settings ...string) disruption.PodDisruptionBudgetSpec {
		return the[*disruption.PodDisruptionBudget](t, release(t, example(t, "two-replicas", settings...)), "pdhook").Spec
	}
	if got := budget(); got.MaxUnavailable.String() != "1" || got.MinAvailable != nil {
		t.Errorf("got %+v, want at most one away", got)
	}
	if got := budget("podDisruptionBudget.minAvailable=1"); got.MinAvailable.String() != "1" || got.MaxUnavailable != nil {
		t.Errorf("got %+v, want at least one there", got)
	}
	if budgets := every[*disruption.PodDisruptionBudget](release(t, example(t, "minimal"))); len(budgets) > 0 {
		t.Error("got a budget that nobody asked for")
	}
}

func TestExtrasArePartOfTheRelease(t *testing.T) {
	all := release(t, example(t, "minimal",
		`extraVolumes=[{"name": "ca", "configMap": {"name": "company-ca"}}]`,
		`extraVolumeMounts=[{"name": "ca", "mountPath": "/etc/ssl/certs", "readOnly": true}]`,
		`extraObjects=[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-ca", "namespace": "teleport"}},
			"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: as-text\n  namespace: {{ .Release.Namespace }}\n"]`))
	the[*core.ConfigMap](t, all, "pdhook-ca")
	the[*core.ConfigMap](t, all, "as-text")
	wellFormed(t, all)
	pod := all.pod(t).Spec
	if volume(t, pod, "ca").ConfigMap == nil || !strings.Contains(pod.Containers[0].VolumeMounts[len(pod.Containers[0].VolumeMounts)-1].MountPath, "/etc/ssl") {
		t.Errorf("got volumes %+v", pod.Volumes)
	}
}

func TestAReleaseOfAnotherNameNamesItsObjectsAfterIt(t *testing.T) {
	for release, want := range map[string]string{
		"prod": "prod-pdhook", "pdhook-eu": "pdhook-eu",
		"pdhook.eu": "pdhook-eu", "eu.prod": "eu-prod-pdhook", // Helm takes dots, a service does not
		strings.Repeat("a", 48) + "..b": strings.Repeat("a", 48),
	} {
		r, err := installAs(t, release, example(t, "monitoring"), nil)
		if err != nil {
			t.Fatal(err)
		}
		all := decode(t, r)
		wellFormed(t, all)
		meets(t, all)
		the[*apps.StatefulSet](t, all, want)
		the[*core.Service](t, all, want+"-admin")
		if config := volume(t, all.pod(t).Spec, "config").ConfigMap; config == nil || config.Name != want {
			t.Errorf("release %s: got configuration %+v, want %s", release, config, want)
		}
	}
}

func TestLongNamesAreCutBeforeKubernetesRefusesThem(t *testing.T) {
	all := release(t, example(t, "monitoring", `fullnameOverride="`+strings.Repeat("a", 70)+`"`, `nameOverride="`+strings.Repeat("b", 70)+`"`))
	wellFormed(t, all)
	meets(t, all)
	all = release(t, example(t, "monitoring", `fullnameOverride="`+strings.Repeat("a", 48)+`--cut"`, `nameOverride="`+strings.Repeat("b", 48)+`._cut"`))
	wellFormed(t, all)
	meets(t, all)
}

func TestLabelsAndAnnotationsOfThePodDoNotTakeThePlaceOfTheChartsOwn(t *testing.T) {
	all := release(t, example(t, "two-replicas",
		`podLabels={"team": "payments", "app.kubernetes.io/name": "theirs", "app.kubernetes.io/version": "theirs"}`,
		`podAnnotations={"checksum/config": "theirs", "both": "podAnnotations"}`, `annotations.pod={"both": "annotations.pod", "one": "one"}`))
	meets(t, all)
	pod := all.pod(t)
	if pod.Labels["team"] != "payments" || pod.Annotations["both"] != "podAnnotations" || pod.Annotations["one"] != "one" {
		t.Errorf("got labels %v, annotations %v", pod.Labels, pod.Annotations)
	}
	if pod.Annotations["checksum/config"] == "theirs" {
		t.Error("a changed configuration does not restart the pod any more")
	}
}

func TestAValueThatIsLeftEmptyIsAsIfItWereNotThere(t *testing.T) {
	for _, setting := range []string{
		"podAnnotations=null", "podLabels=null", "annotations.pod=null", "annotations.config=null", "annotations.deployment=null",
		"annotations.secret=null", "serviceAccount.annotations=null", "admin.token=null", "pagerduty.apiKey=null", "nameOverride=null",
		"fullnameOverride=null", "image.tag=null", "imagePullSecrets=null", "extraEnv=null", "tolerations=null", "affinity=null",
		"nodeSelector=null", "service.annotations=null",
	} {
		all := release(t, example(t, "minimal", setting))
		wellFormed(t, all)
		meets(t, all)
		configuration(t, all)
	}
	all := release(t, example(t, "minimal", "serviceAccount.create=null"))
	if len(every[*core.ServiceAccount](all)) > 0 || all.pod(t).Spec.ServiceAccountName != "default" {
		t.Error("want the service account of the namespace")
	}
}

func TestAChartThatIncludesThisOneMaySwitchItByItsCondition(t *testing.T) {
	release(t, example(t, "minimal", "enabled=true", `global={"registry": "example.com"}`))
}
