# Service accounts and their roles, each with its reason. docs/deploy.md has the same list, and a
# test compares the two. No role is given to the project where a narrower place takes it.

resource "google_service_account" "worker" {
  account_id   = "attribeam-worker"
  display_name = "attribeam: launcher and workers of jobs"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account" "scheduler" {
  account_id   = "attribeam-scheduler"
  display_name = "attribeam: starts the daily backfill"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account" "checks" {
  account_id   = "attribeam-checks"
  display_name = "attribeam: reads rows for the daily checks"
  depends_on   = [google_project_service.needed]
}

resource "google_service_account" "publisher" {
  account_id   = "attribeam-publisher"
  display_name = "attribeam: sends events"
  depends_on   = [google_project_service.needed]
}

resource "google_project_iam_member" "worker" {
  for_each = toset([
    # Takes work from Dataflow, writes its logs and metrics. There is no narrower place for it.
    "roles/dataflow.worker",
    # Makes datasets and tables of accounts that come for the first time, and writes rows. It cannot
    # change a dataset's own settings; that is what a person does by attribeam tables apply.
    "roles/bigquery.dataEditor",
    # Runs load jobs and the transaction that replaces days.
    "roles/bigquery.jobUser",
  ])
  project = var.project
  role    = each.key
  member  = google_service_account.worker.member
}

# Messages of the stream: read and acknowledge.
resource "google_pubsub_subscription_iam_member" "worker_subscriber" {
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.worker.member
}

# Dataflow looks up the subscription's topic and deadline before it reads.
resource "google_pubsub_subscription_iam_member" "worker_viewer" {
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.viewer"
  member       = google_service_account.worker.member
}

# Event files: read only.
resource "google_storage_bucket_iam_member" "worker_events" {
  bucket = google_storage_bucket.events.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.worker.member
}

# Templates and configuration: read only.
resource "google_storage_bucket_iam_member" "worker_staging" {
  bucket = google_storage_bucket.staging.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.worker.member
}

# What a job stages and leaves: read, write, delete.
resource "google_storage_bucket_iam_member" "worker_temp" {
  bucket = google_storage_bucket.temp.name
  role   = "roles/storage.objectUser"
  member = google_service_account.worker.member
}

# The key of hashes, this one secret.
resource "google_secret_manager_secret_iam_member" "worker" {
  secret_id = google_secret_manager_secret.key.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.worker.member
}

# The image, from this one repository.
resource "google_artifact_registry_repository_iam_member" "worker" {
  repository = google_artifact_registry_repository.images.name
  location   = var.region
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.worker.member
}

# Launches a template. There is no narrower place than the project for it.
resource "google_project_iam_member" "scheduler" {
  project = var.project
  role    = "roles/dataflow.developer"
  member  = google_service_account.scheduler.member
}

# Lets the job it launches work as the worker account, and no other.
resource "google_service_account_iam_member" "scheduler" {
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.scheduler.member
}

# Reads the template it launches.
resource "google_storage_bucket_iam_member" "scheduler" {
  bucket = google_storage_bucket.staging.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.scheduler.member
}

# Runs the queries of the checks.
resource "google_project_iam_member" "checks" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.checks.member
}

# Reads rows, of the checked datasets only, and what could not be given to an account.
resource "google_bigquery_dataset_iam_member" "checks" {
  for_each   = toset([for check in local.checks : check.dataset])
  dataset_id = each.key
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.checks.member
}

# Google's transfer service runs the checks in the name of the account above.
resource "google_service_account_iam_member" "transfer_agent" {
  service_account_id = google_service_account.checks.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = local.agents.transfer
  depends_on         = [google_project_service.needed]
}

# Sends events to this one topic; give a tracker or switch this account and no other.
resource "google_pubsub_topic_iam_member" "publisher" {
  topic  = google_pubsub_topic.events.name
  role   = "roles/pubsub.publisher"
  member = google_service_account.publisher.member
}

# Pub/Sub itself moves what cannot be delivered: publishes it there …
resource "google_pubsub_topic_iam_member" "pubsub_agent" {
  topic  = google_pubsub_topic.dead_letters.name
  role   = "roles/pubsub.publisher"
  member = local.agents.pubsub
}

# … and acknowledges it here.
resource "google_pubsub_subscription_iam_member" "pubsub_agent" {
  subscription = google_pubsub_subscription.events.name
  role         = "roles/pubsub.subscriber"
  member       = local.agents.pubsub
}

# Pub/Sub itself writes event files: makes objects, and looks up the bucket.
resource "google_storage_bucket_iam_member" "files" {
  for_each = toset(["roles/storage.objectCreator", "roles/storage.legacyBucketReader"])
  bucket   = google_storage_bucket.events.name
  role     = each.key
  member   = local.agents.pubsub
}

# Google's own accounts of Dataflow and of the transfer service. Their services give them these roles
# at their first use, but not to accounts asked for before (main.tf). There is no narrower place.
resource "google_project_iam_member" "service_agents" {
  for_each = {
    # Starts the workers of a job.
    dataflow = "roles/dataflow.serviceAgent"
    # Starts the queries of the checks and writes the log entries that the alert reads.
    transfer = "roles/bigquerydatatransfer.serviceAgent"
  }
  project = var.project
  role    = each.value
  member  = local.agents[each.key]
}

# Google's services encrypt and decrypt with the project's keys: messages, objects, the secret, and
# what a job holds on disks and in Streaming Engine.
resource "google_kms_crypto_key_iam_member" "agents" {
  for_each      = toset(["compute", "dataflow", "pubsub", "secrets", "storage"])
  crypto_key_id = google_kms_crypto_key.data[var.region].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.agents[each.key]
  depends_on    = [google_project_service.needed]
}

# BigQuery does so with the key of the datasets' location (kms_key of the configuration).
resource "google_kms_crypto_key_iam_member" "bigquery" {
  crypto_key_id = google_kms_crypto_key.data[local.bigquery_key_location].id
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = local.agents.bigquery
  depends_on    = [google_project_service.needed]
}
