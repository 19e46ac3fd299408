package posture

import "slices"

// placeholder is the value of a placeholder of the rules' commands for a subject, "" if it has none.
func (s *Subject) placeholder(name string) string {
	switch name {
	case "account":
		return s.Account.ID
	case "partition":
		return s.Account.Partition
	case "region":
		if b, ok := s.value.(*Bucket); ok {
			return b.Region
		}
		return s.Region
	}
	switch r := s.value.(type) {
	case *Job:
		return jobValue(r, name)
	case *Model:
		d, ok := r.Detail.Read()
		switch {
		case name == "model_arn":
			return r.ARN
		case name == "model_name":
			return r.Name
		case ok && s.region().job(d.Job) != nil:
			return namedValue(name, "job_name", s.region().job(d.Job).Name, "job_arn", d.Job)
		}
	case *Serving:
		return namedValue(name, "model_arn", r.Model, "serving_arn", r.ARN)
	case *ImportJob:
		return namedValue(name, "job_name", r.Name, "job_arn", r.ARN)
	case *ImportedModel:
		return namedValue(name, "model_name", r.Name, "model_arn", r.ARN)
	case *Copy:
		return namedValue(name, "model_arn", r.Target, "job_arn", r.ARN)
	case *Key:
		return namedValue(name, "key_id", s.ARN)
	case *Bucket:
		return namedValue(name, "bucket", r.Name)
	case store:
		return namedValue(name, "log_group", r.group, "bucket", r.bucket)
	default:
		return s.networkValue(name)
	}
	return ""
}

func jobValue(j *Job, name string) string {
	d, ok := j.Detail.Read()
	if !ok {
		d = &JobDetail{}
	}
	return namedValue(name, "job_name", j.Name, "job_arn", j.ARN, "role_arn", d.Role, "base_model_arn", d.Base, "model_name", d.ModelName,
		"training_uri", d.Training, "output_uri", d.Output, "key_id", d.Key)
}

func (s *Subject) networkValue(name string) string {
	switch r := s.value.(type) {
	case Datum[*SecurityGroup]:
		return namedValue(name, "group_id", s.Name)
	case subnetUse:
		vpc := ""
		if subnet, ok := r.subnet.Read(); ok && subnet != nil {
			vpc = subnet.VPC
		}
		return namedValue(name, "subnet_id", r.id, "subnet_ids", r.id, "vpc_id", vpc)
	case vpcUse:
		return namedValue(name, "vpc_id", r.vpc.ID)
	case *Interface:
		return namedValue(name, "interface_id", r.ID)
	case *Endpoint:
		vpc := ""
		for id, v := range s.region().VPCs {
			if slices.Contains(v.Endpoints.Items, r) {
				vpc = id
			}
		}
		return namedValue(name, "endpoint_id", r.ID, "vpc_id", vpc)
	}
	return ""
}

// namedValue finds a name among names and values.
func namedValue(name string, pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i] == name {
			return pairs[i+1]
		}
	}
	return ""
}
