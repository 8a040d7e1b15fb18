# The stream, and the daily backfill. Datasets and tables are not Terraform's: their schema follows
# from the project's code and changes with it, accounts come and go by configuration, and a change of
# retention needs a written reference. `attribeam tables apply` makes and evolves them.

locals {
  staged = { for name, template in google_storage_bucket_object.template : name => "gs://${template.bucket}/${template.name}" }
  common = {
    config     = "gs://${google_storage_bucket_object.config.bucket}/${google_storage_bucket_object.config.name}"
    output     = local.output
    key_secret = local.key_secret
  }
}

resource "google_dataflow_flex_template_job" "stream" {
  count                   = var.with_stream && var.image != null ? 1 : 0
  provider                = google-beta
  name                    = "attribeam-stream"
  region                  = var.region
  labels                  = local.labels
  container_spec_gcs_path = local.staged["stream"]
  parameters = merge(local.common, {
    command        = "stream"
    subscription   = google_pubsub_subscription.events.id
    shards         = tostring(var.shards)
    gather_seconds = tostring(var.gather_seconds)
  })
  sdk_container_image     = var.image
  machine_type            = var.stream_machine_type
  num_workers             = 1
  max_workers             = var.stream_max_workers
  enable_streaming_engine = true
  service_account_email   = google_service_account.worker.email
  subnetwork              = "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers.name}"
  ip_configuration        = "WORKER_IP_PRIVATE"
  staging_location        = "${google_storage_bucket.temp.url}/staging"
  temp_location           = "${google_storage_bucket.temp.url}/temp"
  kms_key_name            = google_kms_crypto_key.data[var.region].id
  # What has been read is decided and written before the job ends.
  on_delete = "drain"
  depends_on = [
    google_artifact_registry_repository_iam_member.worker,
    google_compute_firewall.workers,
    google_kms_crypto_key_iam_member.agents,
    google_project_iam_member.service_agents,
    google_project_iam_member.worker,
    google_pubsub_subscription_iam_member.worker_subscriber,
    google_pubsub_subscription_iam_member.worker_viewer,
    google_secret_manager_secret_iam_member.worker,
    google_storage_bucket_iam_member.worker_staging,
    google_storage_bucket_iam_member.worker_temp,
  ]
}

resource "google_cloud_scheduler_job" "backfill" {
  count            = var.backfill_schedule != null && var.image != null ? 1 : 0
  name             = "attribeam-backfill"
  description      = "Starts the backfill of the last complete days."
  region           = var.region
  schedule         = var.backfill_schedule
  time_zone        = "Etc/UTC"
  attempt_deadline = "180s"
  # A second launch while one runs is refused by its name, so a retry cannot make two.
  retry_config {
    retry_count          = 2
    min_backoff_duration = "60s"
  }
  http_target {
    http_method = "POST"
    uri         = "https://dataflow.googleapis.com/v1b3/projects/${var.project}/locations/${var.region}/flexTemplates:launch"
    headers     = { "Content-Type" = "application/json" }
    body = base64encode(jsonencode({
      launchParameter = {
        jobName              = "attribeam-backfill"
        containerSpecGcsPath = local.staged["backfill"]
        parameters = merge(local.common, {
          command     = "backfill"
          pageviews   = "${google_storage_bucket.events.url}/pageviews"
          engagements = "${google_storage_bucket.events.url}/engagements"
          calls       = "${google_storage_bucket.events.url}/calls"
          last_days   = tostring(var.backfill_days)
        })
        environment = {
          sdkContainerImage    = var.image
          machineType          = var.backfill_machine_type
          diskSizeGb           = var.backfill_disk_gb
          maxWorkers           = 1
          numWorkers           = 1
          serviceAccountEmail  = google_service_account.worker.email
          subnetwork           = "regions/${var.region}/subnetworks/${google_compute_subnetwork.workers.name}"
          ipConfiguration      = "WORKER_IP_PRIVATE"
          stagingLocation      = "${google_storage_bucket.temp.url}/staging"
          tempLocation         = "${google_storage_bucket.temp.url}/temp"
          kmsKeyName           = google_kms_crypto_key.data[var.region].id
          additionalUserLabels = local.labels
        }
      }
    }))
    oauth_token {
      service_account_email = google_service_account.scheduler.email
    }
  }
  depends_on = [google_project_service.needed]
}
