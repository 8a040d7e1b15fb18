terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.38"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = "~> 6.38"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

# The resource that runs a Flex Template is a beta one.
provider "google-beta" {
  project = var.project
  region  = var.region
}
