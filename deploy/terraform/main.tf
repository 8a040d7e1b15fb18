# What everything else stands on: services, names, network, image repository.

data "google_project" "this" {}

data "google_storage_project_service_account" "this" {
  depends_on = [google_project_service.needed]
}

data "google_bigquery_default_service_account" "this" {
  depends_on = [google_project_service.needed]
}

# Google's own accounts in this project that act on our behalf (iam.tf). These services make theirs
# when they are used first, Dataflow at its first job; a role can be given only to one that is there.
resource "google_project_service_identity" "agent" {
  for_each = toset([
    "bigquerydatatransfer.googleapis.com",
    "dataflow.googleapis.com",
    "pubsub.googleapis.com",
    "secretmanager.googleapis.com",
  ])
  provider   = google-beta
  service    = each.key
  depends_on = [google_project_service.needed]
}

locals {
  labels = { application = "attribeam" }
  agents = {
    bigquery = data.google_bigquery_default_service_account.this.member
    # Made when the service is enabled; the resource above refuses it.
    compute  = "serviceAccount:service-${data.google_project.this.number}@compute-system.iam.gserviceaccount.com"
    dataflow = google_project_service_identity.agent["dataflow.googleapis.com"].member
    pubsub   = google_project_service_identity.agent["pubsub.googleapis.com"].member
    secrets  = google_project_service_identity.agent["secretmanager.googleapis.com"].member
    storage  = data.google_storage_project_service_account.this.member
    transfer = google_project_service_identity.agent["bigquerydatatransfer.googleapis.com"].member
  }
  output     = "bigquery://${var.project}/${var.location}"
  key_secret = "${google_secret_manager_secret.key.id}/versions/${var.key_version}"
}

resource "google_project_service" "needed" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerydatatransfer.googleapis.com",
    "bigquerystorage.googleapis.com",
    "cloudkms.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "compute.googleapis.com",
    "dataflow.googleapis.com",
    "iam.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ])
  service            = each.key
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "attribeam"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of launcher and workers."
  labels        = local.labels
  docker_config {
    # A tag that a running job names must mean the same image for ever.
    immutable_tags = true
  }
  depends_on = [google_project_service.needed]
}

resource "google_compute_network" "workers" {
  name                    = "attribeam"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.needed]
}

resource "google_compute_subnetwork" "workers" {
  name          = "attribeam-workers"
  network       = google_compute_network.workers.id
  region        = var.region
  ip_cidr_range = "10.64.0.0/22"
  # Workers have no addresses of their own outside and reach Google's services all the same.
  private_ip_google_access = true
}

resource "google_compute_firewall" "workers" {
  name        = "attribeam-workers"
  network     = google_compute_network.workers.id
  description = "Workers of a job to each other, on the ports that Dataflow uses."
  source_tags = ["dataflow"]
  target_tags = ["dataflow"]
  allow {
    protocol = "tcp"
    ports    = ["12345-12346"]
  }
}
